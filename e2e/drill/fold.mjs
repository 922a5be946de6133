// The fold of incident.proto, computed from its text: what an incident is after all its updates, whatever order they came in.

// Compared in the contract's order; sources as bytes.
const later = (a, b) => a.version - b.version || a.epoch - b.epoch || a.sequence - b.sequence || Buffer.compare(Buffer.from(a.source), Buffer.from(b.source));
const sooner = (a, b) => a.seconds - b.seconds || a.nanos - b.nanos;

// Fold takes the updates that count: not those of a quarantine.
export class Fold {
  incidents = new Map(); // number → {top, milestones}

  add(update) { // {number, version, epoch, sequence, source, sourceTime, content}
    const known = this.incidents.get(update.number) ?? { top: null, milestones: new Map() };
    this.incidents.set(update.number, known);
    if (!known.top || later(update, known.top) > 0) known.top = update;
    for (const { kind, time } of update.content.milestones) {
      const told = known.milestones.get(kind);
      if (!told || sooner(time, told) < 0) known.milestones.set(kind, time);
    }
  }

  // expected is the incident as GetIncident must show it; undefined when nobody told of it.
  expected(number) {
    const known = this.incidents.get(number);
    if (!known) return undefined;
    const { version, epoch, sequence, source, sourceTime, content } = known.top;
    return {
      incidentNumber: number, incidentVersion: version, epoch, sequence, source, sourceTime, division: content.division,
      state: content.status === 'STATUS_CLOSED' ? 'STATE_CLOSED' : 'STATE_OPEN',
      content: { ...content, milestones: [] },
      milestones: Object.fromEntries([...known.milestones].sort()),
    };
  }
}

// seen brings an incident as it was read into the same form. What the contract adds later is left out: a client of today does not know it.
export function seen(incident) {
  const { category, division, place, summary, situations, status, reportId, milestones } = incident.content;
  return {
    incidentNumber: incident.incidentNumber, incidentVersion: incident.incidentVersion, epoch: incident.epoch, sequence: incident.sequence,
    source: incident.source, sourceTime: incident.sourceTime, division: incident.division, state: incident.state,
    content: { category, division, place, summary, situations, status, reportId, milestones },
    milestones: Object.fromEntries(incident.milestones.map(({ kind, time }) => [kind, time]).sort()),
  };
}
