import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;
import com.lianhu.reporting.v1.Ack;
import com.lianhu.reporting.v1.DispatchServiceGrpc.DispatchServiceStub;
import com.lianhu.reporting.v1.Hello;
import com.lianhu.reporting.v1.PushIncidentUpdatesRequest;
import com.lianhu.reporting.v1.PushIncidentUpdatesResponse;
import com.lianhu.reporting.v1.Quarantined;
import com.lianhu.reporting.v1.SequenceRange;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;

/** Brings an outbox to the server through cuts, restarts and drains. */
final class Source {
  /** Why a push ended that only a person can get over. */
  static final class Stopped extends Exception {
    Stopped(String message) {
      super(message);
    }
  }

  /** At most 200 updates a frame is the contract's limit; the bytes keep a frame far below its 8 MiB, so that a cut costs little. */
  private static final int FRAME_UPDATES = 200, FRAME_BYTES = 1 << 20;

  /** How often in a row another stream may take our place: two senders with one certificate would go on for ever. */
  private static final int SUPERSEDED_MOST = 3;

  /** What a new stream would be refused for like this one. */
  private static final Set<Status.Code> FINAL = Set.of(Status.Code.INVALID_ARGUMENT, Status.Code.FAILED_PRECONDITION,
      Status.Code.PERMISSION_DENIED, Status.Code.UNAUTHENTICATED, Status.Code.UNIMPLEMENTED);

  private final DispatchServiceStub stub;
  private final long epoch;
  private final long longestPause;
  private final Outbox outbox;
  private int quarantined;

  Source(DispatchServiceStub stub, long epoch, long longestPauseMillis, Outbox outbox) {
    Metadata purpose = new Metadata(); // without one nobody could tell later why the call was made
    purpose.put(Metadata.Key.of("lianhu-purpose", Metadata.ASCII_STRING_MARSHALLER), "EMERGENCY_RESPONSE");
    this.stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(purpose));
    this.epoch = epoch;
    this.longestPause = longestPauseMillis;
    this.outbox = outbox;
  }

  /** Numbers whose content was kept apart: durable, but somebody has to look. */
  int quarantined() {
    return quarantined;
  }

  /** Opens one stream after the other until all is durable. */
  void push() throws InterruptedException, Stopped {
    for (int failures = 0, superseded = 0; ; ) {
      Stream stream = new Stream();
      stub.pushIncidentUpdates(stream);
      Throwable broke = stream.ended.join(); // null when it ended well
      if (stream.present > epoch) {
        throw new Stopped("the server counts by epoch " + stream.present + ", our numbers are of " + epoch + ": find out who began it");
      }
      if (broke == null && stream.complete) {
        if (!stream.gaps.isEmpty()) {
          throw new Stopped(ranges(stream.gaps) + " missing at the server and not in the file: send or void them");
        }
        return;
      }
      Status status = broke == null ? Status.OK : Status.fromThrowable(broke);
      String reason = broke == null ? "" : reasonOf(broke);
      superseded = reason.equals("DISPATCH_STREAM_SUPERSEDED") ? superseded + 1 : 0;
      if (FINAL.contains(status.getCode()) || reason.equals("MESSAGE_TOO_LARGE") || superseded >= SUPERSEDED_MOST) {
        throw new Stopped(status.getCode() + " " + reason + ": " + text(status));
      }
      if (reason.equals("DRAINING") && stream.greeted) { // another server waits for us already
        System.out.println("draining: again at once");
        failures = 0;
        continue;
      }
      failures = stream.greeted ? 0 : failures + 1;
      long most = Math.min(longestPause, 250L << Math.min(failures, 20));
      long pause = most / 2 + ThreadLocalRandom.current().nextLong(most / 2 + 1);
      if (superseded > 0) { // whoever comes back at once only throws the other one out
        pause = longestPause;
      }
      System.out.println("cut: " + status.getCode() + " " + reason + " " + text(status) + "; again in " + pause + " ms");
      Thread.sleep(pause);
    }
  }

  /**
   * One connection. gRPC calls the methods one after the other, so no lock is needed; none of them blocks, so acknowledgements are read while
   * frames are written.
   */
  private final class Stream implements ClientResponseObserver<PushIncidentUpdatesRequest, PushIncidentUpdatesResponse> {
    final CompletableFuture<Throwable> ended = new CompletableFuture<>();
    boolean greeted;
    /** Everything was written and our side closed; when the stream ends well behind that, all of it is durable. */
    boolean complete;
    /** Epoch the server counts by. */
    long present;
    List<SequenceRange> gaps = List.of();
    private ClientCallStreamObserver<PushIncidentUpdatesRequest> wire;
    private Iterator<Outbox.Item> unsent;

    @Override
    public void beforeStart(ClientCallStreamObserver<PushIncidentUpdatesRequest> wire) {
      this.wire = wire;
      wire.setOnReadyHandler(this::send);
    }

    @Override
    public void onNext(PushIncidentUpdatesResponse said) {
      if (said.hasHello()) {
        hello(said.getHello());
      } else if (said.hasAck()) {
        ack(said.getAck());
      } // anything else is of a newer contract: overlook it
    }

    /** Starts the stream; nothing was sent before, it may be durable already. */
    private void hello(Hello hello) {
      System.out.println("hello: epoch " + hello.getEpoch() + ", durable through " + hello.getDurableThrough() + missing(hello.getGapsList()));
      present = hello.getEpoch();
      if (present > epoch) { // nothing of ours counts any more, and nothing is sent
        wire.cancel("a higher epoch has begun", null);
        return;
      }
      if (present == epoch) { // in a higher one everything has to be sent
        gaps = hello.getGapsList();
        outbox.settle(hello.getDurableThrough(), gaps, hello.getGreatestSequence());
      }
      greeted = true;
      unsent = outbox.items().iterator();
      send();
    }

    private void ack(Ack ack) {
      System.out.println("ack: durable through " + ack.getDurableThrough() + missing(ack.getGapsList()));
      for (Quarantined q : ack.getQuarantinedList()) { // said once: note it. A cause we do not know has a number only
        String cause = q.getCause() == Quarantined.Cause.UNRECOGNIZED ? String.valueOf(q.getCauseValue()) : q.getCause().name();
        System.out.println("quarantined: " + q.getSequence() + " " + cause);
        quarantined++;
      }
      gaps = ack.getGapsList();
      outbox.settle(ack.getDurableThrough(), gaps, ack.getGreatestSequence());
    }

    /** Writes frames while HTTP/2's flow control lets it; gRPC calls again when there is room. Then it closes our side. */
    private void send() {
      while (greeted && !complete && wire.isReady()) {
        if (unsent.hasNext()) {
          wire.onNext(frame());
        } else {
          complete = true;
          wire.onCompleted();
        }
      }
    }

    /** Takes items into a frame. A void ends it, so that no frame gives up too much. */
    private PushIncidentUpdatesRequest frame() {
      PushIncidentUpdatesRequest.Builder frame = PushIncidentUpdatesRequest.newBuilder().setEpoch(epoch);
      for (int bytes = 0; unsent.hasNext() && frame.getUpdatesCount() < FRAME_UPDATES && bytes < FRAME_BYTES && frame.getVoidsCount() == 0; ) {
        Outbox.Item item = unsent.next();
        if (item.update() == null) {
          frame.addVoids(item.given());
        } else {
          frame.addUpdates(item.update());
          bytes += item.update().getSerializedSize();
        }
      }
      return frame.build();
    }

    @Override
    public void onError(Throwable broke) {
      ended.complete(broke);
    }

    @Override
    public void onCompleted() {
      ended.complete(null);
    }
  }

  /** Reads google.rpc.ErrorInfo, whose first field is the reason: it is stable for ever, the message is for people. */
  private static String reasonOf(Throwable broke) {
    try {
      com.google.rpc.Status status = StatusProto.fromThrowable(broke);
      for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
        if (detail.getTypeUrl().endsWith("/google.rpc.ErrorInfo")) {
          // Its class is in proto-google-common-protos from 2.0 on: detail.unpack(ErrorInfo.class).getReason()
          return UnknownFieldSet.parseFrom(detail.getValue()).getField(1).getLengthDelimitedList().get(0).toStringUtf8();
        }
      }
    } catch (InvalidProtocolBufferException | IndexOutOfBoundsException e) {
      return ""; // details of another kind: the code decides
    }
    return "";
  }

  /** What happened, in words: for a broken connection the reason lies one deeper. */
  private static String text(Status status) {
    return status.getDescription() + (status.getCause() == null ? "" : ", " + status.getCause().getMessage());
  }

  private static String missing(List<SequenceRange> gaps) {
    return gaps.isEmpty() ? "" : ", missing " + ranges(gaps);
  }

  private static String ranges(List<SequenceRange> gaps) {
    return gaps.stream().map(gap -> gap.getFrom() + "-" + gap.getTo()).collect(Collectors.joining(" "));
  }
}
