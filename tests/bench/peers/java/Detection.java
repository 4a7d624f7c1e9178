import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The detection that all peers do: moving average ± σ over 5 minutes hopping by 10 s for voltage and current, and voltage limits.
 *
 * <p>The same formula, hysteresis and order as GridPulse's rules moving_average, interruption, sag and swell, and the same layout of state: one
 * value a feeder that every batch touches (sums of the window, open panes, episodes), and closed panes under keys of their own, written once.
 */
final class Detection {
    /** The feeder's keys in the peer's state store. */
    interface Store {
        byte[] get(String key);

        void put(String key, byte[] value);

        void delete(String key);
    }

    private static final long PANE_MS = 10_000, GRACE_MS = 10_000;
    private static final int WINDOW = 30, OPEN_PANES = 4, SIGNALS = 2, SUMS = 3;
    private static final double SIGMAS = 2.5, LEAST = 30, NOMINAL = 230, RATED = 60;
    private static final double[] DEADBAND = {0.12 * NOMINAL, 0.40 * RATED};
    private static final double FLOOR = 0.1, LOW = 0.9, HIGH = 1.1;

    private static final int INTERRUPTION = 0, SAG = 1, SWELL = 2, DEVIATION = 3, CHANNELS = 5;
    private static final String[] KINDS = {"INTERRUPTION", "SAG", "SWELL", "DEVIATION", "DEVIATION"};
    private static final long[] LASTING = {0, 0, 0, 3_000, 3_000}, CLEAR = {5_000, 5_000, 5_000, 10_000, 10_000};
    private static final long IDLE = 0, PENDING = 1, OPEN = 2;

    private static final int HEADER = 16, CLOCK = 0, CLOSED = 8, SUM_BYTES = 8 * SUMS, EPISODE = 24;
    private static final int PANES_AT = SIGNALS * SUM_BYTES, EPISODES_AT = PANES_AT * (1 + OPEN_PANES);
    private static final int PLACE = EPISODES_AT + CHANNELS * EPISODE;
    private static final long NEVER = Long.MIN_VALUE;

    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle DOUBLE = MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);

    /** Places of a feeder's meters, kept between messages; what is in the store decides. */
    private static final class Roster {
        byte[] ids = new byte[0];
        int[] places = new int[0];
        final Map<String, Integer> known = new HashMap<>();
    }

    private final Map<String, Roster> rosters = new HashMap<>();

    /** Judge the rows of `message`; `out` is told "meter kind started_at" for each anomaly that opens. */
    void judge(Readings rows, byte[] message, boolean batch, Store store, Consumer<String> out) {
        Roster roster = rosters.computeIfAbsent(rows.feeder, feeder -> restore(store));
        places(roster, rows, message, batch, store);
        byte[] state = sized(store.get("state"), roster.known.size());
        for (int row = 0; row < rows.rows; row++) {
            judge(state, roster, row, rows.at[row], rows.voltage[row], rows.current[row], store, out);
        }
        store.put("state", state);
    }

    private void judge(byte[] state, Roster roster, int row, long at, double volts, double amperes, Store store, Consumer<String> out) {
        long clock = (long) LONG.get(state, CLOCK);
        if (at > clock) LONG.set(state, CLOCK, at);
        long pane = Math.floorDiv(at, PANE_MS);
        advance(state, Math.floorDiv(Math.max(at, clock) - GRACE_MS, PANE_MS) - 1, store);
        if (pane <= (long) LONG.get(state, CLOSED)) return; // late
        int base = HEADER + roster.places[row] * PLACE;
        int open = base + PANES_AT + (int) Math.floorMod(pane, OPEN_PANES) * PANES_AT;
        boolean crossed = false;
        if (volts == volts) {
            double pu = volts / NOMINAL;
            boolean gone = pu < FLOOR, low = pu >= FLOOR && pu < LOW, high = pu > HIGH;
            crossed = gone || low || high;
            step(state, base, INTERRUPTION, gone, at, roster, row, out);
            step(state, base, SAG, low, at, roster, row, out);
            step(state, base, SWELL, high, at, roster, row, out);
        }
        for (int signal = 0; signal < SIGNALS; signal++) {
            double value = signal == 0 ? volts : amperes;
            if (value != value) continue;
            int window = base + signal * SUM_BYTES;
            double count = (double) DOUBLE.get(state, window), taught = value;
            boolean silent = crossed && signal == 0;
            if (count >= LEAST) {
                double mean = (double) DOUBLE.get(state, window + 8) / count;
                double variance = (double) DOUBLE.get(state, window + 16) / count - mean * mean;
                double half = Math.max(SIGMAS * Math.sqrt(Math.max(variance, 0)), DEADBAND[signal]);
                taught = Math.min(Math.max(value, mean - half), mean + half);
                step(state, base, DEVIATION + signal, !silent && Math.abs(value - mean) > half, at, roster, row, out);
            }
            if (silent) continue;
            int sums = open + signal * SUM_BYTES;
            add(state, sums, 1);
            add(state, sums + 8, taught);
            add(state, sums + 16, taught * taught);
        }
    }

    /** A finding that lasts opens an anomaly; a normal reading long enough after the last one ends it. */
    private static void step(byte[] state, int base, int channel, boolean abnormal, long at, Roster roster, int row, Consumer<String> out) {
        int episode = base + EPISODES_AT + channel * EPISODE;
        long phase = (long) LONG.get(state, episode);
        if (!abnormal) {
            if (phase == PENDING || phase == OPEN && at - (long) LONG.get(state, episode + 16) >= CLEAR[channel]) LONG.set(state, episode, IDLE);
            return;
        }
        if (phase == IDLE) {
            phase = PENDING;
            LONG.set(state, episode, PENDING);
            LONG.set(state, episode + 8, at);
        }
        LONG.set(state, episode + 16, at);
        long since = (long) LONG.get(state, episode + 8);
        if (phase == PENDING && at - since >= LASTING[channel]) {
            LONG.set(state, episode, OPEN);
            out.accept(name(roster, roster.places[row]) + " " + KINDS[channel] + " " + since);
        }
    }

    /** Close panes up to `newest`: into the window, under a key of their own, and out of the window when they are too old. */
    private static void advance(byte[] state, long newest, Store store) {
        long closed = (long) LONG.get(state, CLOSED);
        if (newest <= closed) return;
        LONG.set(state, CLOSED, newest);
        if (closed == NEVER) return;
        int places = (state.length - HEADER) / PLACE;
        for (long pane = closed + 1; pane <= Math.min(newest, closed + OPEN_PANES); pane++) {
            byte[] kept = new byte[places * PANES_AT];
            for (int place = 0; place < places; place++) {
                int base = HEADER + place * PLACE, from = base + PANES_AT + (int) Math.floorMod(pane, OPEN_PANES) * PANES_AT;
                for (int at = 0; at < PANES_AT; at += 8) {
                    double value = (double) DOUBLE.get(state, from + at);
                    DOUBLE.set(kept, place * PANES_AT + at, value);
                    add(state, base + at, value);
                    DOUBLE.set(state, from + at, 0.0);
                }
            }
            store.put("pane " + pane, kept);
        }
        for (long pane = Math.max(closed - WINDOW + 1, newest - 100L * WINDOW); pane <= newest - WINDOW; pane++) {
            byte[] gone = store.get("pane " + pane);
            if (gone == null) continue;
            for (int place = 0; place < gone.length / PANES_AT; place++) {
                int base = HEADER + place * PLACE;
                for (int at = 0; at < PANES_AT; at += 8) add(state, base + at, -(double) DOUBLE.get(gone, place * PANES_AT + at));
            }
            store.delete("pane " + pane);
        }
    }

    private static void places(Roster roster, Readings rows, byte[] message, boolean batch, Store store) {
        if (Arrays.equals(roster.ids, 0, roster.ids.length, message, rows.idsFrom, rows.idsTo)) return;
        String[] ids = Readings.ids(message, rows.idsFrom, rows.idsTo, batch);
        roster.ids = Arrays.copyOfRange(message, rows.idsFrom, rows.idsTo);
        roster.places = new int[ids.length];
        int known = roster.known.size();
        for (int row = 0; row < ids.length; row++) {
            Integer place = roster.known.putIfAbsent(ids[row], roster.known.size());
            roster.places[row] = place == null ? roster.known.size() - 1 : place;
        }
        if (roster.known.size() > known) {
            String[] names = new String[roster.known.size()];
            roster.known.forEach((id, place) -> names[place] = id);
            store.put("roster", String.join("\n", names).getBytes(StandardCharsets.UTF_8));
        }
    }

    private static Roster restore(Store store) {
        Roster roster = new Roster();
        byte[] names = store.get("roster");
        if (names != null) {
            for (String id : new String(names, StandardCharsets.UTF_8).split("\n")) roster.known.put(id, roster.known.size());
        }
        return roster;
    }

    private static byte[] sized(byte[] state, int places) {
        if (state != null && state.length == HEADER + places * PLACE) return state;
        byte[] larger = state == null ? new byte[HEADER + places * PLACE] : Arrays.copyOf(state, HEADER + places * PLACE);
        if (state == null) {
            LONG.set(larger, CLOCK, NEVER);
            LONG.set(larger, CLOSED, NEVER);
        }
        return larger;
    }

    private static void add(byte[] state, int at, double value) {
        DOUBLE.set(state, at, (double) DOUBLE.get(state, at) + value);
    }

    private static String name(Roster roster, int place) {
        for (Map.Entry<String, Integer> entry : roster.known.entrySet()) {
            if (entry.getValue() == place) return entry.getKey();
        }
        throw new IllegalStateException("no meter at place " + place);
    }
}
