// A dispatch system's side of PushIncidentUpdates, to start from: connect, and Source, which brings numbered updates to the server through
// cuts, restarts and drains. It knows the published contract (lianhu-proto.zip, unpacked) and nothing else; docs/dispatch.md says why each
// step is as it is. What a source must keep by itself: an update is written to its own outbox before put, and leaves it on `certain`.
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';
import protobuf from 'protobufjs';

// At most 200 updates a frame is the contract's limit; the bytes keep a frame far below its 8 MiB, so that a cut costs little.
const frameUpdates = 200, frameBytes = 1 << 20;
// How often in a row another stream may take our place: two senders with one certificate would go on for ever.
const supersededMost = 3;

// connect gives the clients of the services a dispatch system calls. Numbers of the protocol end at 2^53-1, so that `longs: Number` is exact.
export function connect({ target, proto, roots, certificate, key }) {
  const files = ['dispatch_service', 'reporting_read_service'].map((name) => `lianhu/reporting/v1/${name}.proto`);
  const definition = loader.loadSync(files, { includeDirs: [proto], longs: Number, enums: String, defaults: true, oneofs: true });
  const { DispatchService, ReportingReadService } = grpc.loadPackageDefinition(definition).lianhu.reporting.v1;
  const credentials = grpc.credentials.createSsl(readFileSync(roots), readFileSync(key), readFileSync(certificate));
  const options = { // a dead line is noticed within half a minute; pings closer than 10 s are refused
    'grpc.keepalive_time_ms': 20_000, 'grpc.keepalive_timeout_ms': 10_000, 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': 5_000,
  };
  return { dispatch: new DispatchService(target, credentials, options), read: new ReportingReadService(target, credentials, options) };
}

// contentType is IncidentContent, to encode payloads with.
export function contentType(proto) {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => (target.startsWith('google/protobuf/') ? target : `${proto}/${target}`);
  return root.loadSync('lianhu/reporting/v1/incident.proto').lookupType('lianhu.reporting.v1.IncidentContent');
}

// purpose goes with every call: without it nobody could tell later why it was made.
export function purpose() {
  const metadata = new grpc.Metadata();
  metadata.set('lianhu-purpose', 'EMERGENCY_RESPONSE');
  return metadata;
}

const details = protobuf.parse(`syntax = "proto3";
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`).root;

// refusal reads google.rpc.ErrorInfo from a status: the reason is stable for ever, the message is for people.
export function refusal(status) {
  const raw = status.metadata?.get('grpc-status-details-bin')[0];
  const info = raw && details.lookupType('Status').decode(raw).details.find((any) => any.typeUrl.endsWith('/google.rpc.ErrorInfo'));
  return info ? details.lookupType('ErrorInfo').decode(info.value) : { reason: '', metadata: {} };
}

// What a new stream cannot heal. CONTENTION and DISPATCH_STREAM_SUPERSEDED are ABORTED and can be tried again.
const { INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED, OK } = grpc.status;
const final = new Set([INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, FAILED_PRECONDITION, UNIMPLEMENTED]);

const gapsNamed = 100; // how many gaps the server names at most

// Source sends what is put into it until the server says that it is durable. Events: `certain` (the key of an item may be forgotten),
// `hello` and `ack` (what the server said), `quarantined` ({sequence, cause}; a cause that this client does not know is a number), `cut`
// ({status, reason, pause}: a stream ended and the next one comes after so many milliseconds).
export class Source extends EventEmitter {
  #dispatch; #epoch; #patience;
  #items = new Map(); // key → {update} or {void}, everything not certain yet
  #unsent = []; // keys not written on the present stream
  #position = { durableThrough: 0, gaps: [] };
  #call = null; #greeted = false; #blocked = false; #closing = false; #wake = null; #over = null;

  constructor(dispatch, { epoch, backoffMost = 30_000 }) {
    super();
    [this.#dispatch, this.#epoch, this.#patience] = [dispatch, epoch, backoffMost];
  }

  get waiting() { return this.#items.size; }
  get gaps() { return this.#position.gaps; }

  // put takes {update} or {void: {from, to, reason}}, at most 10,000 numbers. A number is put once; sending it again is this class's work.
  put(item) {
    const key = item.update ? item.update.sequence : item.void.to;
    this.#items.set(key, item);
    this.#unsent.push(key);
    this.#wake ??= setImmediate(() => { this.#wake = null; this.#pump(); }); // what is put in one go shares a frame
  }

  // certain tells whether numbers are durable, as far as the last Hello or Ack shows. Gaps are the first 100 only: where all are named, everything
  // else up to the greatest number known is durable, else above the last gap nothing is known.
  certain(from, to = from) {
    const { durableThrough, gaps, greatestSequence = 0 } = this.#position;
    if (to <= durableThrough) return true;
    if (gaps.some((gap) => gap.from <= to && from <= gap.to)) return false;
    return (gaps.length < gapsNamed && to <= greatestSequence) || (gaps.length > 0 && to < gaps.at(-1).from);
  }

  // close lets run end when everything is certain. cut leaves the present stream; run opens the next one.
  close() { this.#closing = true; this.#pump(); }
  cut() { this.#call?.cancel(); }

  // run keeps a stream open until close. It throws what only a person can heal.
  async run() {
    for (let failures = 0, superseded = 0; ;) {
      this.#greeted = false;
      const { status, complete } = await this.#stream();
      if (this.#over) throw this.#over;
      if (status.code === OK && complete) return this.#forget(() => true); // all we sent is durable, whether or not others are missing below
      const { reason, metadata } = refusal(status);
      superseded = reason === 'DISPATCH_STREAM_SUPERSEDED' ? superseded + 1 : 0;
      if (final.has(status.code) || reason === 'MESSAGE_TOO_LARGE' || superseded >= supersededMost) {
        throw Object.assign(new Error(`${grpc.status[status.code]} ${reason}: ${status.details}`), { status, reason, metadata });
      }
      if (this.#greeted) failures = 0;
      let pause = Math.min(this.#patience, 250 * 2 ** failures++) * (0.5 + Math.random() / 2);
      if (reason === 'DRAINING' && this.#greeted) pause = 0; // another server waits for us already
      if (superseded > 0) pause = this.#patience; // whoever comes back at once only throws the other one out
      this.emit('cut', { status, reason, pause });
      if (pause > 0) await sleep(pause);
    }
  }

  // stream opens one and resolves when it has ended: how, and whether everything was written and our side closed.
  #stream() {
    return new Promise((resolve) => {
      const call = this.#call = this.#dispatch.PushIncidentUpdates(purpose());
      call.on('data', ({ say, hello, ack }) => {
        if (say === 'hello') this.#hello(hello);
        if (say === 'ack') this.#ack(ack); // what is neither, a newer server says: overlook it
      });
      call.on('drain', () => { this.#blocked = false; this.#pump(); });
      call.on('error', () => {}); // the status tells it too
      call.on('status', (status) => { this.#call = null; resolve({ status, complete: call.writableEnded }); });
    });
  }

  // hello starts the stream: everything that is not certain is sent again, whatever was written before.
  #hello(hello) {
    this.emit('hello', hello);
    const { epoch, durableThrough, gaps, greatestSequence } = hello;
    if (epoch > this.#epoch) { // nothing of ours counts any more, and nothing is sent
      this.#over = new Error(`the server counts by epoch ${epoch}, our numbers are of ${this.#epoch}: find out who began it`);
      return this.#call.cancel();
    }
    [this.#greeted, this.#blocked] = [true, false];
    this.#settle(epoch === this.#epoch ? { durableThrough, gaps, greatestSequence } : { durableThrough: 0, gaps: [] });
    this.#unsent = [...this.#items.keys()];
    this.#pump();
  }

  #ack(ack) {
    this.emit('ack', ack);
    ack.quarantined.forEach((q) => this.emit('quarantined', q));
    this.#settle(ack);
    this.#pump();
  }

  #settle({ durableThrough, gaps, greatestSequence }) {
    this.#position = { durableThrough, gaps, greatestSequence };
    this.#forget(({ update, void: given }) => (update ? this.certain(update.sequence) : this.certain(given.from, given.to)));
  }

  #forget(which) {
    for (const [key, item] of this.#items) if (which(item)) { this.#items.delete(key); this.emit('certain', key); }
  }

  #pump() {
    while (this.#call && this.#greeted && !this.#blocked && this.#unsent.length > 0) {
      const frame = this.frame(this.#take());
      this.#blocked = !this.#call.write(frame); // HTTP/2's flow control: go on at `drain`
    }
    if (this.#closing && this.#greeted && this.#unsent.length === 0 && !this.#call?.writableEnded) this.#call?.end();
  }

  // take fills a frame. A void ends it, so that no frame gives up too much.
  #take() {
    const updates = [], voids = [];
    let bytes = 0;
    while (this.#unsent.length > 0 && updates.length < frameUpdates && voids.length === 0 && bytes < frameBytes) {
      const item = this.#items.get(this.#unsent.shift());
      if (item?.update) bytes += updates.push(item.update) && item.update.payload.length + 100;
      if (item?.void) voids.push(item.void);
    }
    return { updates, voids };
  }

  // frame is what is written. A subclass may look at it.
  frame({ updates, voids }) { return { epoch: this.#epoch, updates, voids }; }
}
