import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, inOrder, type Located, locate, type Question } from '../../../src/sip/name-location.ts';
import { NameWatch, type NameWatchOutput } from '../../../src/sip/name-watch.ts';
import type { LookUp } from '../../../src/sip/trunk.ts';

/* RFC 3263: from a name to places, and asked again in time. */

type Zone = Readonly<Record<string, Answer>>;
const a = (...records: string[]): Answer => ({ type: 'A', records, ttlS: 60 });
const srv = (...lines: string[]): Answer => ({
  type: 'SRV',
  records: lines.map((line) => {
    const [priority, weight, port, target = ''] = line.split(' ');
    return { priority: Number(priority), weight: Number(weight), port: Number(port), target };
  }),
});
const naptr = (...lines: string[]): Answer => ({
  type: 'NAPTR',
  records: lines.map((line) => {
    const [order, preference, flags = '', service = '', replacement = ''] = line.split(' ');
    return { order: Number(order), preference: Number(preference), flags, service, replacement };
  }),
});
const NONE: Answer = { type: 'none' };

/** Asks until there is an outcome. @returns it, and the questions in the order they were asked */
function resolve(
  lookUp: LookUp,
  zone: Zone,
): { readonly found: string[] | string; readonly asked: string[]; readonly places: readonly Located[] } {
  const known = new Map<string, Answer>();
  const key = ({ type, name }: Question): string => `${type} ${name}`;
  for (let round = 0; round < 10; round += 1) {
    const location = locate({ lookUp, families: ['A'] }, (question) => known.get(key(question)));
    if (location.type === 'failed') return { found: location.why, asked: [...known.keys()], places: [] };
    if (location.type === 'located') {
      const { places } = location;
      return { found: places.map(({ transport, address, port }) => `${transport} ${address}:${port}`), asked: [...known.keys()], places };
    }
    for (const question of location.questions) known.set(key(question), zone[key(question)] ?? NONE);
  }
  throw new Error('it asks without an end');
}

describe('a name', () => {
  it.each<[string, LookUp, Zone, string[] | string]>([
    ['with a port is only an address', { host: 'x', port: 5070 }, { 'A x': a('192.0.2.1') }, ['udp 192.0.2.1:5070']],
    ['with port and transport, too', { host: 'x', port: 5070, transport: 'tls' }, { 'A x': a('192.0.2.1') }, ['tls 192.0.2.1:5070']],
    [
      'with a transport has SRV records of it',
      { host: 'x', transport: 'tls' },
      { 'SRV _sips._tcp.x': srv('2 0 5063 b', '1 0 5062 a'), 'A a': a('192.0.2.1', '192.0.2.2'), 'A b': a('192.0.2.3') },
      ['tls 192.0.2.1:5062', 'tls 192.0.2.2:5062', 'tls 192.0.2.3:5063'],
    ],
    [
      'with a transport and no SRV is at its usual port',
      { host: 'x', transport: 'tls' },
      { 'A x': a('192.0.2.1') },
      ['tls 192.0.2.1:5061'],
    ],
    [
      'says its transports by NAPTR, in its order',
      { host: 'x' },
      {
        'NAPTR x': naptr('20 0 s SIP+D2U u.x', '10 5 s SIPS+D2T t.x', '5 0 u E2U+sip regexp', '10 1 s SIP+D2T c.x'),
        'SRV u.x': srv('0 0 5060 a'),
        'SRV t.x': srv('9 0 5061 a'),
        'SRV c.x': srv('0 0 5066 a'),
        'A a': a('192.0.2.1'),
      },
      ['tcp 192.0.2.1:5066', 'tls 192.0.2.1:5061', 'udp 192.0.2.1:5060'],
    ],
    [
      'without NAPTR has SRV of what we speak',
      { host: 'x' },
      { 'SRV _sip._tcp.x': srv('0 0 5070 a'), 'A a': a('192.0.2.1') },
      ['tcp 192.0.2.1:5070'],
    ],
    ['without any of it is an address by UDP', { host: 'x' }, { 'A x': a('192.0.2.1') }, ['udp 192.0.2.1:5060']],
    [
      'whose SRV is a dot is not there',
      { host: 'x', transport: 'udp' },
      { 'SRV _sip._udp.x': srv('0 0 5060 .') },
      'DNS knows no address for it',
    ],
    [
      'whose SRV cannot be asked is not taken for an address',
      { host: 'x', transport: 'udp' },
      { 'SRV _sip._udp.x': { type: 'failed', why: 'DNS: ETIMEOUT' }, 'A x': a('192.0.2.1') },
      'DNS: ETIMEOUT',
    ],
    ['that is not there is nowhere', { host: 'x' }, {}, 'DNS knows no address for it'],
    ['of this machine is nobody asked for', { host: 'localhost', transport: 'tcp' }, {}, ['tcp 127.0.0.1:5060']],
  ])('%s', (_what, lookUp, zone, expected) => {
    expect(resolve(lookUp, zone).found).toEqual(expected);
  });

  it('is not followed without an end, whatever a zone says', () => {
    const many = srv(...Array.from({ length: 500 }, (_, index) => `0 0 5060 h${index}`));
    const { asked } = resolve(
      { host: 'x', transport: 'udp' },
      { 'SRV _sip._udp.x': many, 'A h0': a(...Array<string>(500).fill('192.0.2.1')) },
    );
    expect(asked.length).toBeLessThanOrEqual(17);
  });
});

describe('places', () => {
  const place = (host: number, rank: number, weight: number): Located => ({
    address: `192.0.2.${host}`,
    port: 5060,
    transport: 'udp',
    rank,
    weight,
    host,
  });

  it('are tried by rank, and each exactly once', () => {
    const places = fc.array(fc.record({ host: fc.nat(9), rank: fc.nat(3), weight: fc.nat(65_535) }), { maxLength: 12 });
    fc.assert(
      fc.property(places, fc.infiniteStream(fc.double({ min: 0, max: 0.999_999_999, noNaN: true })), (some, chances) => {
        const random = (): number => chances.next().value as number;
        const distinct = [...new Map(some.map((each) => [each.host, place(each.host, each.rank, each.weight)])).values()];
        const ordered = inOrder(distinct, random);
        expect([...ordered].sort((x, y) => x.host - y.host)).toEqual([...distinct].sort((x, y) => x.host - y.host));
        expect(ordered.map(({ rank }) => rank)).toEqual(ordered.map(({ rank }) => rank).sort((x, y) => x - y));
      }),
    );
  });

  it('of one rank share calls by their weights', () => {
    const places = [place(1, 0, 30), place(2, 0, 10), place(3, 0, 0)];
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const first = new Map<number, number>();
    for (let call = 0; call < 4000; call += 1) {
      const host = inOrder(places, random)[0]?.host ?? 0;
      first.set(host, (first.get(host) ?? 0) + 1);
    }
    expect(first.get(1)).toBeGreaterThan(2700);
    expect(first.get(2)).toBeGreaterThan(800);
    expect(first.get(3) ?? 0).toBeLessThan(200);
  });
});

describe('a watched name', () => {
  const QUESTION: Question = { type: 'A', name: 'x' };

  /** Moves the machine to each time in turn and answers what it asks. @returns what it said, with the time */
  function watch(answers: (at: number) => Answer | undefined, untilMs: number): [number, string][] {
    const machine = new NameWatch({ lookUp: { host: 'x', port: 5060 }, families: ['A'] });
    const said: [number, string][] = [];
    const drain = (now: number): void => {
      for (let output: NameWatchOutput | undefined = machine.pollOutput(); output; output = machine.pollOutput()) {
        said.push([now, output.type === 'failed' ? output.why : output.type]);
        const answer = output.type === 'ask' ? answers(now) : undefined;
        if (output.type === 'ask' && answer) machine.answered(now, output.question, answer, output.round);
      }
    };
    machine.start(0);
    drain(0);
    for (let next = machine.nextTimeout(); next !== undefined && next <= untilMs; next = machine.nextTimeout()) {
      machine.handleTimeout(next);
      drain(next);
    }
    return said;
  }

  it('is asked again when its TTL is over', () => {
    expect(watch(() => ({ ...a('192.0.2.1'), ttlS: 30 }) as Answer, 65_000)).toEqual([
      [0, 'ask'],
      [0, 'located'],
      [30_000, 'ask'],
      [30_000, 'located'],
      [60_000, 'ask'],
      [60_000, 'located'],
    ]);
  });

  it('is not asked faster than every five seconds, nor later than after five minutes', () => {
    expect(watch(() => ({ ...a('192.0.2.1'), ttlS: 0 }) as Answer, 9000).filter(([, what]) => what === 'ask')).toHaveLength(2);
    expect(watch(() => ({ ...a('192.0.2.1'), ttlS: 86_400 }) as Answer, 300_000).filter(([, what]) => what === 'ask')).toHaveLength(2);
  });

  it('is given up after four seconds without an answer, and asked more and more seldom', () => {
    expect(watch(() => undefined, 60_000)).toEqual([
      [0, 'ask'],
      [4000, 'DNS did not answer in time'],
      [9000, 'ask'],
      [13_000, 'DNS did not answer in time'],
      [23_000, 'ask'],
      [27_000, 'DNS did not answer in time'],
      [47_000, 'ask'],
      [51_000, 'DNS did not answer in time'],
    ]);
  });

  it('takes no answer of a round that is over', () => {
    const machine = new NameWatch({ lookUp: { host: 'x', port: 5060 }, families: ['A'] });
    machine.start(0);
    expect(machine.pollOutput()).toMatchObject({ type: 'ask', round: 1 });
    machine.handleTimeout(4000);
    expect(machine.pollOutput()).toMatchObject({ type: 'failed' });
    machine.answered(4001, QUESTION, a('192.0.2.66'), 1);
    expect(machine.pollOutput()).toBeUndefined();
  });
});
