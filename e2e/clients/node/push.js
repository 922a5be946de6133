#!/usr/bin/env node
// Pushes a file of incident updates: the same file, and the same answers, as `lianhu dispatch push`. dispatch.js is the part to keep; this one
// shows how to use it. The status is 0 when every number of the file is durable and none was quarantined, 1 when a person has to look, 2
// when nothing was sent.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { connect, Source } from './dispatch.js';

const usage = 'usage: push.js --target HOST:PORT --roots FILE --cert FILE --key FILE [--epoch N] UPDATES.ndjson';
const fields = ['sequence', 'incidentNumber', 'incidentVersion', 'sourceTime', 'payloadFormat', 'payload'];
const formats = ['PAYLOAD_FORMAT_UNSPECIFIED', 'PAYLOAD_FORMAT_JSON'];
const voidMost = 10_000; // numbers that one frame may give up

const integer = (value) => {
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(Number(value)) || Number(value) < 1) throw new Error(`${value} is not from 1 to ${Number.MAX_SAFE_INTEGER}`);
  return Number(value);
};

// timestamp reads RFC 3339, to the nanosecond.
function timestamp(text) {
  const [, whole, fraction = '', zone] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  const seconds = Date.parse(whole + zone) / 1000;
  if (Number.isNaN(seconds)) throw new Error(`source_time ${text} is not RFC 3339`);
  return { seconds, nanos: Number(fraction.padEnd(9, '0')) };
}

// parse reads one line: IncidentUpdate in protobuf's JSON form, whose payload may be the object it is, or {"void":{"from":3,"to":5}}.
function parse(line) {
  const camel = ([name, value]) => [name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()), value];
  const raw = Object.fromEntries(Object.entries(JSON.parse(line)).map(camel));
  if (raw.void) {
    const { from, to, reason = '' } = raw.void;
    if (Object.keys(raw).length > 1 || integer(to) < integer(from)) throw new Error('a void goes from a number to one not below it, on a line of its own');
    return { void: { from: integer(from), to: integer(to), reason } };
  }
  const unknown = Object.keys(raw).find((name) => !fields.includes(name));
  if (unknown) throw new Error(`the contract knows no field ${unknown}`);
  const { sequence, incidentNumber = '', incidentVersion = 0, sourceTime, payloadFormat = formats[0], payload = '' } = raw;
  if (!formats.includes(payloadFormat)) throw new Error(`payload_format is none of ${formats}`);
  const object = typeof payload === 'object';
  return { update: {
    sequence: integer(sequence), incidentNumber, incidentVersion: Number(incidentVersion), sourceTime: sourceTime && timestamp(sourceTime),
    payloadFormat: object ? formats[1] : payloadFormat, payload: object ? Buffer.from(JSON.stringify(payload)) : Buffer.from(payload, 'base64'),
  } };
}

// read gives the items of a file. In your system they are the rows of an outbox, which an update enters with its number in the transaction
// that makes it, and leaves when it is `certain`.
function read(name) {
  const items = [], known = new Map();
  for (const [at, line] of readFileSync(name, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      const { update, void: given } = parse(line);
      for (let from = given?.from; from <= given?.to; from += voidMost) {
        items.push({ void: { ...given, from, to: Math.min(given.to, from + voidMost - 1) } });
      }
      if (!update || isDeepStrictEqual(update, known.get(update.sequence))) continue; // the same line again is the same update
      if (known.has(update.sequence)) throw new Error(`number ${update.sequence} stands in the file before, with other content: give this one a number of its own`);
      known.set(update.sequence, update);
      items.push({ update });
    } catch (err) {
      throw new Error(`line ${at + 1}: ${err.message}`);
    }
  }
  return items;
}

function prepare() {
  const text = { type: 'string' };
  const { values, positionals: [file] } = parseArgs({ allowPositionals: true, options: {
    target: text, roots: text, cert: text, key: text, epoch: { ...text, default: '1' }, 'longest-pause': { ...text, default: '30s' },
  } });
  if (!file || !values.target) throw new Error(usage);
  const { target, roots, cert: certificate, key, epoch } = values;
  const { dispatch } = connect({ target, proto: fileURLToPath(new URL('contract', import.meta.url)), roots, certificate, key });
  return { source: new Source(dispatch, { epoch: integer(epoch), backoffMost: parseFloat(values['longest-pause']) * 1000 }), items: read(file) };
}

const leave = (status, ...words) => { console.error(...words); process.exit(status); };
const ranges = (gaps) => gaps.map(({ from, to }) => `${from}-${to}`).join(' ');
const missing = (gaps) => (gaps.length > 0 ? `, missing ${ranges(gaps)}` : '');

let source, items, quarantined = 0;
try {
  ({ source, items } = prepare());
} catch (err) {
  leave(2, `${err.message}; nothing was sent`);
}
source.on('hello', ({ epoch, durableThrough, gaps }) => console.log(`hello: epoch ${epoch}, durable through ${durableThrough}${missing(gaps)}`));
source.on('ack', ({ durableThrough, gaps }) => console.log(`ack: durable through ${durableThrough}${missing(gaps)}`));
source.on('quarantined', ({ sequence, cause }) => { quarantined++; console.log(`quarantined: ${sequence} ${cause}`); });
source.on('cut', ({ status, reason, pause }) => {
  console.log(pause > 0 ? `cut: ${reason || status.code} ${status.details}; again in ${Math.round(pause)} ms` : 'draining: again at once');
});
items.forEach((item) => source.put(item));
source.close();
try {
  await source.run();
} catch (err) {
  leave(1, `stopped: ${err.message}`);
}
if (source.gaps.length > 0) leave(1, `stopped: ${ranges(source.gaps)} missing at the server and not in the file: send or void them`);
console.log(`done: all is durable, ${quarantined} quarantined`);
process.exit(quarantined > 0 ? 1 : 0);
