import com.lianhu.reporting.v1.DispatchServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.NettyChannelBuilder;
import java.io.File;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A dispatch system to start from: it pushes a file of incident updates and goes on through cuts, restarts and drains until each of them is
 * durable. It knows the published contract and nothing else; docs/dispatch.md says why each step is as it is.
 *
 * <p>The status is 0 when every number of the file is durable and none was quarantined, 1 when a person has to look, 2 when nothing was sent.
 */
public final class Push {
  private static final String USAGE = "usage: java -jar push.jar --target HOST:PORT --roots FILE --cert FILE --key FILE [--epoch N] UPDATES.ndjson";

  public static void main(String[] arguments) throws InterruptedException {
    Map<String, String> flags = new HashMap<>(Map.of("--epoch", "1", "--longest-pause", "30s"));
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      flags.put(arguments[i], arguments[i + 1]);
    }
    Source source = null;
    try {
      if (arguments.length % 2 == 0 || !flags.containsKey("--target")) {
        throw new IllegalArgumentException(USAGE);
      }
      Outbox outbox = Outbox.read(Path.of(arguments[arguments.length - 1]));
      long longest = (long) (Double.parseDouble(flags.get("--longest-pause").replace("s", "")) * 1000);
      source = new Source(DispatchServiceGrpc.newStub(connect(flags)), Long.parseLong(flags.get("--epoch")), longest, outbox);
    } catch (Exception e) {
      leave(2, e.getMessage() + "; nothing was sent");
    }
    try {
      source.push();
    } catch (Source.Stopped e) {
      leave(1, "stopped: " + e.getMessage());
    }
    System.out.println("done: all is durable, " + source.quarantined() + " quarantined");
    System.exit(source.quarantined() > 0 ? 1 : 0);
  }

  /**
   * Connects with mutual TLS 1.3: the certificate is all that says who you are. The key is PKCS#8 ("BEGIN PRIVATE KEY"). With a newer gRPC,
   * Grpc.newChannelBuilder(target, TlsChannelCredentials.newBuilder()...) does the same whatever its transport is.
   */
  private static ManagedChannel connect(Map<String, String> flags) throws Exception {
    var tls = GrpcSslContexts.forClient()
        .protocols("TLSv1.3")
        .trustManager(new File(flags.get("--roots")))
        .keyManager(new File(flags.get("--cert")), new File(flags.get("--key")))
        .build();
    return NettyChannelBuilder.forTarget(flags.get("--target"))
        .sslContext(tls)
        // A dead line is noticed within half a minute; pings closer than 10 s are refused.
        .keepAliveTime(20, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  private static void leave(int status, String words) {
    System.err.println(words);
    System.exit(status);
  }
}
