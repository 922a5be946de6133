// The client of the drill. It knows the unpacked contract and the settings in DRILL (JSON), pushes the plan from all sources through
// whatever happens, then reads every incident back. On stdout: a line of JSON for each step of progress, and the outcome last.
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { connect, contentType, purpose, refusal, Source } from '../clients/node/dispatch.js';
import { Fold, seen } from './fold.mjs';
import { plan, Random } from './plan.mjs';

const { seed, updates, incidents, sources, reader, proto, roots } = JSON.parse(process.env.DRILL);
// How much of the plan may be sent, as a share: the harness lets it out bit by bit on stdin, so that its faults fall while updates flow.
let released = 0;
createInterface({ input: process.stdin }).on('line', (line) => { released = Number(line); });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// Mischief is a source whose system repeats itself, gives numbers other content, and leaves streams half-finished.
class Mischief extends Source {
  apart = new Map(); // sequence → update that belongs into quarantine and is not seen there yet
  #random; #recent = [];

  constructor(dispatch, { epoch, random }) {
    super(dispatch, { epoch, backoffMost: 2_000 });
    this.#random = random;
    this.on('quarantined', ({ sequence, cause }) => { if (this.apart.get(sequence)?.cause === cause) this.apart.delete(sequence); });
  }

  frame(items) {
    const frame = super.frame(items);
    const again = this.#recent.filter(() => this.#random.chance(0.2));
    this.#recent = frame.updates.slice(-20);
    if (this.#random.chance(0.01)) setTimeout(() => this.cut(), 5);
    // Only behind the content that stands: which of two came first would else depend on where a line was cut.
    const other = [...this.apart.values()].filter(({ update }) => this.certain(update.sequence)).slice(0, 20).map(({ update }) => update);
    return { ...frame, updates: [...frame.updates, ...again, ...other].slice(0, 200) };
  }
}

// unary calls until it is answered: what was cut may have had its effect, the request_id makes it one.
async function unary(client, method, request) {
  for (;;) {
    try {
      return await new Promise((resolve, reject) => {
        client[method](request, purpose(), { deadline: Date.now() + 15_000 }, (err, answer) => (err ? reject(err) : resolve(answer)));
      });
    } catch (err) {
      const { reason } = refusal(err);
      if (reason === 'NOT_FOUND') return null;
      if (!['UNAVAILABLE', 'DRAINING', 'CONTENTION', 'DEADLINE_EXCEEDED', ''].includes(reason)) throw err;
      await sleep(200);
    }
  }
}

async function play(dispatch, part, { random, settled, before, mine }) {
  const source = new Mischief(dispatch, { epoch: part.epoch, random });
  source.on('certain', settled);
  const running = source.run();
  running.catch(() => {}); // both waits below tell it
  for (const [at, item] of part.order.entries()) {
    source.put(item);
    if (at % 50 !== 0) continue;
    for (const { update, cause } of part.conflicts) if (random.chance(0.5) && source.certain(update.sequence)) source.apart.set(update.sequence, { update, cause });
    while (source.waiting > 1_500 || before + at > released * mine) await Promise.race([sleep(20), running]);
  }
  source.close();
  await running;
  // Through the unary twin too, whatever the streams have brought: a conflict that comes again is still one.
  const rest = [...part.conflicts, ...part.spent].map(({ update }) => update);
  for (let i = 0; i < rest.length; i += 100) {
    await unary(dispatch, 'PushIncidentUpdateBatch', { requestId: randomUUID(), epoch: part.epoch, updates: rest.slice(i, i + 100) });
  }
}

async function push(type) {
  const parts = plan({ seed, sources: sources.map(({ name }) => name), updates, incidents, contentType: type, now: Math.floor(Date.now() / 1000) });
  const total = parts.reduce((sum, part) => sum + part.order.length, 0);
  let certain = 0, told = 0;
  const settled = () => {
    certain++;
    if (certain - told >= total / 100 || certain === total) say({ certain: (told = certain), total });
  };
  await Promise.all(sources.map(async ({ name, target, certificate, key }, i) => {
    const { dispatch } = connect({ target, proto, roots, certificate, key });
    const own = parts.filter(({ source }) => source === name);
    const mine = own.reduce((sum, part) => sum + part.order.length, 0);
    for (let before = 0; own.length > 0; before += own.shift().order.length) await play(dispatch, own[0], { random: new Random(seed + 1 + i), settled, before, mine });
    dispatch.close();
  }));
  for (const { name, target, certificate, key } of sources) { // by now everybody's incidents are theirs
    const { dispatch } = connect({ target, proto, roots, certificate, key });
    const { epoch, others } = parts.filter(({ source }) => source === name).at(-1);
    for (let i = 0; i < others.length; i += 100) {
      await unary(dispatch, 'PushIncidentUpdateBatch', { requestId: randomUUID(), epoch, updates: others.slice(i, i + 100) });
    }
    dispatch.close();
  }
  return parts;
}

// differing reads every incident back, a few at a time, and gives the first that are not what the fold says.
async function differing(parts) {
  const fold = new Fold();
  for (const part of parts) part.good.forEach((update) => fold.add(update));
  const { read } = connect({ ...reader, proto, roots });
  const numbers = Array.from({ length: incidents }, (_, i) => `DRILL-${seed}-${i}`);
  numbers.push(...parts.flatMap(({ conflicts }) => conflicts.map(({ update }) => update.incidentNumber)).filter((number) => number.endsWith('-NEVER')));
  const differ = [];
  const next = numbers.values();
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (const number of next) {
      const answer = await unary(read, 'GetIncident', { incidentNumber: number });
      const [want, got] = [fold.expected(number), answer ? seen(answer.incident) : undefined];
      if (!isDeepStrictEqual(want, got)) differ.push({ want, got });
    }
  }));
  return { read: numbers.length, told: fold.incidents.size, differ: differ.length, first: differ.slice(0, 3) };
}

const parts = await push(contentType(proto));
say({ outcome: { ...await differing(parts), quarantine: parts.flatMap(({ quarantine }) => [...quarantine]).sort() } });
process.exit(0);
