import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Apache Flink: one keyed process function, state on the heap, a checkpoint every 30 s. Arguments as of StreamsPeer. */
public final class FlinkPeer {
    /** A feeder's keys are entries of its MapState. */
    private static final class Judge extends KeyedProcessFunction<String, Tuple2<String, byte[]>, String> {
        private final boolean batch;
        private transient Readings rows;
        private transient Detection detection;
        private transient MapState<String, byte[]> state;
        private transient Detection.Store keys;

        Judge(boolean batch) {
            this.batch = batch;
        }

        @Override
        public void open(OpenContext context) {
            rows = new Readings();
            detection = new Detection();
            state = getRuntimeContext().getMapState(new MapStateDescriptor<>("feeder", String.class, byte[].class));
            keys = new Detection.Store() {
                @Override
                public byte[] get(String key) {
                    return of(() -> state.get(key));
                }

                @Override
                public void put(String key, byte[] value) {
                    of(() -> {
                        state.put(key, value);
                        return null;
                    });
                }

                @Override
                public void delete(String key) {
                    of(() -> {
                        state.remove(key);
                        return null;
                    });
                }
            };
        }

        @Override
        public void processElement(Tuple2<String, byte[]> record, Context context, Collector<String> out) {
            byte[] message = record.f1;
            if (batch) rows.readBatch(message);
            else rows.readSingle(message);
            detection.judge(rows, message, batch, keys, out::collect);
            Progress.READINGS.addAndGet(rows.rows);
        }

        private static <T> T of(Callable<T> access) {
            try {
                return access.call();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    public static void main(String[] options) throws Exception {
        boolean batch = options[5].equals("batch");
        Configuration settings = new Configuration();
        settings.setString("execution.checkpointing.dir", "file://" + options[4]);
        settings.setString("state.backend.type", "hashmap");
        settings.setString("pipeline.object-reuse", "true");
        StreamExecutionEnvironment flow = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        flow.enableCheckpointing(30_000);
        KafkaSource<Tuple2<String, byte[]>> source = KafkaSource.<Tuple2<String, byte[]>>builder()
                .setBootstrapServers(options[0])
                .setTopics(options[1])
                .setGroupId(options[3])
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setDeserializer(new Keyed())
                .build();
        KafkaSink<String> sink = KafkaSink.<String>builder()
                .setBootstrapServers(options[0])
                .setRecordSerializer(KafkaRecordSerializationSchema.builder()
                        .setTopic(options[2])
                        .setValueSerializationSchema(new SimpleStringSchema(StandardCharsets.UTF_8))
                        .build())
                .build();
        Progress.start();
        // The topic is partitioned by feeder already: no shuffle, which would copy every message once more.
        DataStreamUtils.reinterpretAsKeyedStream(
                        flow.fromSource(source, WatermarkStrategy.noWatermarks(), "readings"), message -> message.f0, Types.STRING)
                .process(new Judge(batch))
                .sinkTo(sink);
        flow.execute("peer");
    }

    /** Key and bytes of a message as they are. */
    private static final class Keyed implements KafkaRecordDeserializationSchema<Tuple2<String, byte[]>> {
        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> message, Collector<Tuple2<String, byte[]>> out) {
            out.collect(Tuple2.of(new String(message.key(), StandardCharsets.UTF_8), message.value()));
        }

        @Override
        public TypeInformation<Tuple2<String, byte[]>> getProducedType() {
            return Types.TUPLE(Types.STRING, Types.PRIMITIVE_ARRAY(Types.BYTE));
        }
    }

    private FlinkPeer() {}
}
