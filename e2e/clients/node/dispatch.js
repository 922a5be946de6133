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
const frameUpdates = 200, frameBytes = 1 << 20, frameVoids = 100;

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

// Source sends what is put into it until the server says that it is durable. Events: `certain` (the key of an item may be forgotten),
// `quarantined` ({sequence, cause}), `gaps` (what the server misses), `cut` ({status, reason}: a stream ended and the next one will come).
export class Source extends EventEmitter {
  #dispatch; #epoch; #patience;
  #items = new Map(); // key → {update} or {void}, everything not certain yet
  #unsent = []; // keys not written on the present stream
  #position = { durableThrough: 0, gaps: [] };
  #call = null; #greeted = false; #blocked = false; #closing = false; #wake = null;

  constructor(dispatch, { epoch, backoffMost = 30_000 }) {
    super();
    [this.#dispatch, this.#epoch, this.#patience] = [dispatch, epoch, backoffMost];
  }

  get waiting() { return this.#items.size; }

  // put takes {update} or {void: {from, to, reason}}. A number is put once; sending it again is this class's work.
  put(item) {
    const key = item.update ? item.update.sequence : item.void.to;
    this.#items.set(key, item);
    this.#unsent.push(key);
    this.#wake ??= setImmediate(() => { this.#wake = null; this.#pump(); }); // what is put in one go shares a frame
  }

  // certain tells whether a number is durable, as far as the last Hello or Ack shows. Gaps are the first 100 only: above the last one named,
  // nothing is known.
  certain(sequence) {
    const { durableThrough, gaps } = this.#position;
    if (sequence <= durableThrough) return true;
    return gaps.length > 0 && sequence < gaps.at(-1).from && !gaps.some((gap) => gap.from <= sequence && sequence <= gap.to);
  }

  // close lets run end when everything is certain. cut leaves the present stream; run opens the next one.
  close() { this.#closing = true; this.#pump(); }
  cut() { this.#call?.cancel(); }

  // run keeps a stream open until close. It throws what only a person can heal.
  async run() {
    for (let failures = 0; ;) {
      this.#greeted = false;
      const status = await this.#stream();
      if (status.code === OK && this.#closing && this.#items.size === 0) return;
      const { reason, metadata } = refusal(status);
      if (final.has(status.code)) throw Object.assign(new Error(`${reason || status.code}: ${status.details}`), { status, reason, metadata });
      this.emit('cut', { status, reason });
      if (this.#greeted) failures = 0;
      if (reason === 'DRAINING' && this.#greeted) continue; // another server waits for us already
      // Another stream of ours is open somewhere: whoever comes back at once only throws that one out, for ever.
      const most = reason === 'DISPATCH_STREAM_SUPERSEDED' ? this.#patience : Math.min(this.#patience, 250 * 2 ** failures++);
      await sleep(most * (0.5 + Math.random() / 2));
    }
  }

  #stream() {
    return new Promise((resolve) => {
      const call = this.#call = this.#dispatch.PushIncidentUpdates(purpose());
      call.on('data', ({ say, hello, ack }) => (say === 'hello' ? this.#hello(hello) : this.#ack(ack)));
      call.on('drain', () => { this.#blocked = false; this.#pump(); });
      call.on('error', () => {}); // the status tells it too
      call.on('status', (status) => { this.#call = null; resolve(status); });
    });
  }

  // hello starts the stream: everything that is not certain is sent again, whatever was written before.
  #hello({ epoch, durableThrough, gaps }) {
    [this.#greeted, this.#blocked] = [true, false];
    if (epoch > this.#epoch) return this.#call.write({ epoch: this.#epoch }); // refused with DISPATCH_EPOCH_STALE, which run throws
    this.#settle(epoch === this.#epoch ? { durableThrough, gaps } : { durableThrough: 0, gaps: [] });
    this.#unsent = [...this.#items.keys()];
    this.#pump();
  }

  #ack({ durableThrough, gaps, quarantined }) {
    quarantined.forEach((q) => this.emit('quarantined', q));
    this.#settle({ durableThrough, gaps });
    this.#pump();
  }

  #settle(position) {
    this.#position = position;
    for (const key of this.#items.keys()) if (this.certain(key)) { this.#items.delete(key); this.emit('certain', key); }
    if (position.gaps.length > 0) this.emit('gaps', position.gaps);
  }

  #pump() {
    while (this.#call && this.#greeted && !this.#blocked && this.#unsent.length > 0) {
      const frame = this.frame(this.#take());
      this.#blocked = !this.#call.write(frame); // HTTP/2's flow control: go on at `drain`
    }
    if (this.#closing && this.#greeted && this.#unsent.length === 0 && !this.#call?.writableEnded) this.#call?.end();
  }

  #take() {
    const updates = [], voids = [];
    let bytes = 0;
    while (this.#unsent.length > 0 && updates.length < frameUpdates && voids.length < frameVoids && bytes < frameBytes) {
      const item = this.#items.get(this.#unsent.shift());
      if (item?.update) bytes += updates.push(item.update) && item.update.payload.length + 100;
      if (item?.void) voids.push(item.void);
    }
    return { updates, voids };
  }

  // frame is what is written. A subclass may look at it.
  frame({ updates, voids }) { return { epoch: this.#epoch, updates, voids }; }
}
