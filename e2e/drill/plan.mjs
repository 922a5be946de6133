// The plan of a drill: who sends what under which number, and which faults are planted. One seed gives one plan.

// Random is xorshift32: small, and the same everywhere.
export class Random {
  constructor(seed) { this.state = (seed * 2654435761 + 1) >>> 0 || 1; }
  next() {
    let x = this.state;
    x ^= x << 13; x >>>= 0; x ^= x >>> 17; x ^= x << 5;
    return (this.state = x >>> 0) / 2 ** 32;
  }
  below(n) { return Math.floor(this.next() * n); }
  chance(p) { return this.next() < p; }
  of(list) { return list[this.below(list.length)]; }
}

const divisions = ['', '320411101000', '320411101201', '320411101204', '320411103002'];
const situations = ['LIVING_ALONE', 'MISSING', 'GUARDIAN_FAILURE', 'DOMESTIC_VIOLENCE'];
const kinds = ['KIND_CALL_TAKEN', 'KIND_SENT', 'KIND_ARRIVED', 'KIND_REPORTED_BACK', 'KIND_ENDED'];
const day = 86_400;

// plan gives for each source and epoch what is put in which order, and what the quarantine must hold in the end. now is in seconds.
export function plan({ seed, sources, updates, incidents, contentType, now }) {
  const random = new Random(seed);
  const numbers = Array.from({ length: incidents }, (_, i) => `DRILL-${seed}-${i}`);
  const parts = sources.flatMap((source, s) => {
    const mine = Math.floor(updates / sources.length);
    // The last source begins its numbers anew half way.
    const epochs = s === sources.length - 1 ? [Math.ceil(mine / 2), Math.floor(mine / 2)] : [mine];
    // An incident belongs to the source that tells of it first: each has its own, and tells of the others' when they have been told of.
    const own = numbers.filter((_, i) => i % sources.length === s);
    return epochs.map((count, e) => new Part(random, { source, epoch: e + 1, count, numbers: own, contentType, now }));
  });
  const told = new Map(sources.map((source) => [source, parts.filter((part) => part.source === source).flatMap(({ good }) => good.map(({ number }) => number))]));
  for (const source of sources) {
    const last = parts.filter((part) => part.source === source).at(-1);
    const others = sources.filter((other) => other !== source).flatMap((other) => told.get(other));
    for (let n = 0; n < updates / 200 && others.length > 0; n++) last.tellOther(random.of(others));
  }
  return parts;
}

// The source that the district lets tell of every incident (codes.yaml); another one's news of a foreign incident belongs into quarantine.
const shared = 'police:dispatch';

// Part is what one source sends in one epoch.
class Part {
  good = []; // updates that count, as the fold takes them
  order = []; // items in the order they are put
  conflicts = []; // other content for numbers in `good`, sent once those are certain
  spent = []; // updates under numbers that were voided, sent once those are certain
  others = []; // updates of other sources' incidents, sent once all sources have told of theirs
  quarantine = new Set(); // `source/epoch/sequence/cause`

  constructor(random, { source, epoch, count, numbers, contentType, now }) {
    Object.assign(this, { random, source, epoch, count, contentType, now });
    for (let sequence = 1; sequence <= count; sequence++) this.#number(sequence, random.of(numbers), count);
    this.#disorder();
  }

  // tellOther adds an update of another source's incident, behind all its own numbers.
  tellOther(incident) {
    const { wire, told } = this.#update(++this.count, incident);
    this.others.push(wire);
    if (this.source === shared) this.good.push(told);
    else this.quarantine.add(`${this.source}/${this.epoch}/${wire.sequence}/CAUSE_FOREIGN_INCIDENT`);
  }

  #number(sequence, incident, count) {
    const { random } = this;
    const update = this.#update(sequence, incident);
    if (sequence < count && random.chance(0.01)) { // the last number is sent, so that a hole below it is one
      this.order.push({ void: { from: sequence, to: sequence, reason: 'drill' }, late: random.below(600) });
      if (random.chance(0.3)) this.#apart(this.spent, update.wire, 'CAUSE_VOIDED');
      return;
    }
    const late = random.chance(0.02) ? 100 + random.below(600) : 0;
    if (random.chance(0.01)) {
      const { spoil, cause } = random.of(poisons);
      this.order.push({ update: spoil(update.wire, this.now), late });
      this.quarantine.add(`${this.source}/${this.epoch}/${sequence}/${cause}`);
      return;
    }
    this.order.push({ update: update.wire, late });
    this.good.push(update.told);
    if (random.chance(0.01)) this.#apart(this.conflicts, this.#update(sequence, random.chance(0.5) ? incident : `${incident}-NEVER`).wire, 'CAUSE_CONFLICT');
  }

  #apart(list, wire, cause) {
    list.push({ update: wire, cause });
    this.quarantine.add(`${this.source}/${this.epoch}/${wire.sequence}/${cause}`);
  }

  #update(sequence, number) {
    const { random, source, epoch, contentType } = this;
    const time = (within) => ({ seconds: this.now - random.below(within), nanos: random.below(1000) * 1_000_000 });
    const content = {
      category: random.of(['求助', '纠纷', '失踪']), division: random.of(divisions), place: `测试路${random.below(1000)}号`,
      summary: `演练 ${random.below(1e9)} ${'内容'.repeat(random.below(60))}`, situations: situations.filter(() => random.chance(0.3)),
      status: random.chance(0.2) ? 'STATUS_CLOSED' : 'STATUS_UNSPECIFIED', reportId: '',
      milestones: kinds.filter(() => random.chance(0.3)).map((kind) => ({ kind, time: time(10 * day) })),
    };
    const version = 1 + random.below(6); // few, so that versions tie and go backwards
    const sourceTime = time(day);
    const json = random.chance(0.5);
    const payload = json ? Buffer.from(JSON.stringify(jsonForm(content))) : Buffer.from(contentType.encode(contentType.fromObject(content)).finish());
    return {
      told: { number, version, epoch, sequence, source, sourceTime, content },
      wire: { sequence, incidentNumber: number, incidentVersion: version, sourceTime, payloadFormat: json ? 'PAYLOAD_FORMAT_JSON' : 'PAYLOAD_FORMAT_UNSPECIFIED', payload },
    };
  }

  // disorder shuffles near neighbours and moves what is late further back.
  #disorder() {
    const at = new Map(this.order.map((item, i) => [item, i + item.late + this.random.below(30)]));
    this.order.sort((a, b) => at.get(a) - at.get(b));
  }
}

// jsonForm is protobuf's JSON form of a content: times are RFC 3339.
function jsonForm(content) {
  const iso = ({ seconds, nanos }) => new Date(seconds * 1000 + nanos / 1e6).toISOString();
  return { ...content, milestones: content.milestones.map(({ kind, time }) => ({ kind, time: iso(time) })) };
}

const json = (wire, content) => ({ ...wire, payloadFormat: 'PAYLOAD_FORMAT_JSON', payload: Buffer.from(JSON.stringify(content)) });

// poisons spoil an update so that its number is durable and its content in quarantine, and why.
const poisons = [
  { cause: 'CAUSE_UNDECODABLE', spoil: (wire) => ({ ...wire, payloadFormat: 'PAYLOAD_FORMAT_UNSPECIFIED', payload: Buffer.from([0x0a, 0xff, 0xff]) }) },
  { cause: 'CAUSE_UNDECODABLE', spoil: (wire) => ({ ...wire, payloadFormat: 'PAYLOAD_FORMAT_JSON', payload: Buffer.from('{"category":') }) },
  { cause: 'CAUSE_RULE_BROKEN', spoil: (wire) => json(wire, { category: '长'.repeat(61) }) },
  { cause: 'CAUSE_RULE_BROKEN', spoil: (wire) => ({ ...wire, incidentVersion: 0 }) },
  { cause: 'CAUSE_DIVISION_UNKNOWN', spoil: (wire) => json(wire, { division: '999999999999' }) },
  { cause: 'CAUSE_REPORT_UNKNOWN', spoil: (wire) => json(wire, { reportId: '7f5a1c1e-51f3-4d0b-9a49-2f5d7ad3c001' }) },
  { cause: 'CAUSE_TIME_IMPLAUSIBLE', spoil: (wire, now) => ({ ...wire, sourceTime: { seconds: now + 400 * day, nanos: 0 } }) },
];
