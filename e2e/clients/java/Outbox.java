import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import com.lianhu.reporting.v1.IncidentUpdate;
import com.lianhu.reporting.v1.PayloadFormat;
import com.lianhu.reporting.v1.SequenceRange;
import com.lianhu.reporting.v1.Void;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What is not known to be durable, in the order in which it is sent. Here it comes from a file; in your system it is a table, into which an update
 * is written with its number in the transaction that makes it, and from which it goes when it is acknowledged.
 */
final class Outbox {
  /** An update, or a range of numbers that will never be sent; the other one is null. */
  record Item(IncidentUpdate update, Void given) {
    long from() {
      return update != null ? update.getSequence() : given.getFrom();
    }

    long to() {
      return update != null ? update.getSequence() : given.getTo();
    }
  }

  /** Greatest number of the contract, and the most numbers that one frame may give up. */
  private static final long SEQUENCE_MOST = (1L << 53) - 1, VOID_MOST = 10_000;

  /** How many gaps the server names at most. */
  private static final int GAPS_NAMED = 100;

  private List<Item> items = new ArrayList<>();

  List<Item> items() {
    return items;
  }

  /** Drops what is durable now: where all gaps are named, everything else up to the greatest number known; else above the last gap nothing is certain. */
  void settle(long through, List<SequenceRange> gaps, long greatest) {
    List<Item> left = new ArrayList<>(); // a new list: what is being sent goes on over the old one
    for (Item item : items) {
      boolean certain = item.to() <= through;
      if (!certain) {
        certain = (gaps.size() < GAPS_NAMED && item.to() <= greatest || !gaps.isEmpty() && item.to() < gaps.get(gaps.size() - 1).getFrom())
            && gaps.stream().noneMatch(gap -> item.from() <= gap.getTo() && item.to() >= gap.getFrom());
      }
      if (!certain) {
        left.add(item);
      }
    }
    items = left;
  }

  /** Reads a file with an update or a void on each line. */
  static Outbox read(Path file) throws IOException {
    Outbox outbox = new Outbox();
    Map<Long, IncidentUpdate> known = new HashMap<>();
    int number = 0;
    for (String line : Files.readAllLines(file)) {
      number++;
      try {
        if (!line.isBlank()) {
          outbox.add(JsonParser.parseString(line).getAsJsonObject(), known);
        }
      } catch (IOException | RuntimeException e) {
        throw new IOException(file + ", line " + number + ": " + e.getMessage());
      }
    }
    return outbox;
  }

  /** Takes IncidentUpdate in protobuf's JSON form, whose payload may be the object it is, or {"void":{"from":3,"to":5}}. */
  private void add(JsonObject line, Map<Long, IncidentUpdate> known) throws IOException {
    if (line.has("void")) {
      Void.Builder given = Void.newBuilder();
      JsonFormat.parser().merge(line.get("void").toString(), given);
      check(line.size() == 1 && given.getFrom() >= 1 && given.getTo() >= given.getFrom() && given.getTo() <= SEQUENCE_MOST,
          "a void goes from a number to one not below it, on a line of its own");
      for (long from = given.getFrom(), last = given.getTo(); from <= last; from += VOID_MOST) {
        items.add(new Item(null, given.setFrom(from).setTo(Math.min(last, from + VOID_MOST - 1)).build()));
      }
      return;
    }
    JsonElement payload = line.get("payload");
    boolean object = payload != null && payload.isJsonObject();
    if (object) {
      line.remove("payload");
    }
    IncidentUpdate.Builder builder = IncidentUpdate.newBuilder();
    JsonFormat.parser().merge(line.toString(), builder);
    if (object) {
      builder.setPayload(ByteString.copyFromUtf8(payload.toString())).setPayloadFormat(PayloadFormat.PAYLOAD_FORMAT_JSON);
    }
    IncidentUpdate update = builder.build();
    check(update.getSequence() >= 1 && update.getSequence() <= SEQUENCE_MOST, "sequence is not from 1 to " + SEQUENCE_MOST);
    IncidentUpdate before = known.putIfAbsent(update.getSequence(), update);
    check(before == null || before.equals(update),
        "number " + update.getSequence() + " stands in the file before, with other content: give this one a number of its own");
    if (before == null) { // the same line again is the same update
      items.add(new Item(update, null));
    }
  }

  private static void check(boolean right, String otherwise) {
    if (!right) {
      throw new IllegalArgumentException(otherwise);
    }
  }
}
