import java.util.concurrent.atomic.AtomicLong;

/** Tells the benchmark how many readings were judged: a line on standard output every 50 ms. */
final class Progress {
    static final AtomicLong READINGS = new AtomicLong();

    static void start() {
        Thread thread = new Thread(() -> {
            for (;;) {
                System.out.println("readings " + READINGS.get());
                System.out.flush();
                try {
                    Thread.sleep(50);
                } catch (InterruptedException ended) {
                    return;
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private Progress() {}
}
