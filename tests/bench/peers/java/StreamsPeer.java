import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams: the Processor API on a RocksDB store with cache and changelog. Arguments: bootstrap, topic in, topic out, id, folder, batch or single. */
public final class StreamsPeer {
    private static final String STORE = "feeders";

    /** One feeder at a time: keys of the store are "feeder/key". */
    private static final class Judge implements Processor<byte[], byte[], byte[], byte[]> {
        private final boolean batch;
        private final Readings rows = new Readings();
        private final Detection detection = new Detection();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<String, byte[]> store;
        private final Detection.Store keys = new Detection.Store() {
            @Override
            public byte[] get(String key) {
                return store.get(rows.feeder + "/" + key);
            }

            @Override
            public void put(String key, byte[] value) {
                store.put(rows.feeder + "/" + key, value);
            }

            @Override
            public void delete(String key) {
                store.delete(rows.feeder + "/" + key);
            }
        };

        Judge(boolean batch) {
            this.batch = batch;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> context) {
            this.context = context;
            store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            if (batch) rows.readBatch(record.value());
            else rows.readSingle(record.value());
            detection.judge(rows, record.value(), batch, keys, text ->
                    context.forward(record.withValue(text.getBytes(StandardCharsets.UTF_8))));
            Progress.READINGS.addAndGet(rows.rows);
        }
    }

    public static void main(String[] options) {
        boolean batch = options[5].equals("batch");
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, options[3]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, options[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 30_000);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
        Topology topology = new Topology();
        topology.addSource("readings", options[1]);
        topology.addProcessor("judge", () -> new Judge(batch), "readings");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray()).withCachingEnabled(), "judge");
        topology.addSink("anomalies", options[2], "judge");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        Progress.start();
        streams.start();
    }

    private StreamsPeer() {}
}
