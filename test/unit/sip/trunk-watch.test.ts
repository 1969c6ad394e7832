import { describe, expect, it } from 'vitest';
import type { LookUp } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { TrunkWatch } from '../../../src/sip/trunk-watch.ts';
import { EngineUnderTest, header } from './engine-under-test.ts';
import { answer, dial, last, reply, TRUNK } from './outbound-under-test.ts';
import { record } from './recorder.ts';

describe('the watch on a trunk', () => {
  it('asks at the interval as long as it is answered', () => {
    const { clock, log, machine, run } = record(new TrunkWatch({ intervalMs: 30_000 }));
    run((now) => machine.start(now));
    for (let n = 0; n < 4; n += 1) {
      clock.advance(clock.nextTimer()! - clock.now());
      run((now) => machine.heard(now, true));
    }
    expect(log.map(([at, what]) => [at, what])).toEqual([0, 30_000, 60_000, 90_000].map((at) => [at, 'probe']));
  });

  it('gives it up after two questions without an answer, asks on, and takes it back at the first one', () => {
    const { clock, log, machine, run } = record(new TrunkWatch({ intervalMs: 30_000 }));
    run((now) => machine.start(now));
    clock.advance(19_500);
    expect(log).toEqual([
      [0, 'probe'],
      [4000, 'forget'],
      [5000, 'probe'],
      [9000, 'forget'],
      [9000, 'down'],
      [19_000, 'probe'],
    ]);
    run((now) => machine.heard(now, true));
    clock.advance(30_000);
    expect(log.slice(6)).toEqual([
      [19_500, 'up'],
      [49_500, 'probe'],
    ]);
  });

  it('takes one loss for nothing, a 503 for what it says, and what cannot be delivered for a loss', () => {
    const { clock, log, machine, run } = record(new TrunkWatch({ intervalMs: 5000 }));
    run((now) => machine.start(now));
    clock.advance(5000);
    run((now) => machine.heard(now, true));
    clock.advance(5000);
    run((now) => machine.heard(now, false));
    expect([machine.up, log.at(-1)]).toEqual([false, [10_000, 'down']]);
    clock.advance(5000);
    run((now) => machine.heard(now, true));
    clock.advance(5000);
    run((now) => machine.failed(now));
    expect(machine.up).toBe(true);
    clock.advance(1000);
    run((now) => machine.failed(now));
    expect([machine.up, log.at(-1)]).toEqual([false, [21_000, 'down']]);
  });
});

describe('a trunk with keep-alives', () => {
  const watched = (more = {}): Promise<EngineUnderTest> =>
    EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [{ ...TRUNK, keepAliveS: 30, ...more }]) }));
  const up = async (test: EngineUnderTest): Promise<string | undefined> =>
    /^ringdown_sip_trunk_up\{trunk="carrier"\} (\d)$/m.exec(await test.metrics.text())?.[1];

  it('is asked by OPTIONS, is not dialled while it does not answer, and is again with its first answer', async () => {
    const test = await watched();
    test.clock.advance(0);
    const options = last(test, 'OPTIONS');
    expect([options.text.split('\r\n')[0], options.to]).toEqual(['OPTIONS sip:192.0.2.9:5060 SIP/2.0', TRUNK.peer]);
    answer(test, options, 404); // whatever it says, it is there
    expect(await up(test)).toBe('1');
    test.clock.advance(39_000);
    expect(await up(test)).toBe('0');
    const before = test.clock.now();
    expect(() => dial(test)).toThrow(expect.objectContaining({ code: 'ERR_NODE_UNREACHABLE' }));
    expect([test.clock.now() - before, test.sent.some(({ what }) => what === 'INVITE')]).toEqual([0, false]);
    test.clock.advance(10_000);
    answer(test, last(test, 'OPTIONS'), 200);
    expect(await up(test)).toBe('1');
    dial(test);
    expect(last(test, 'INVITE').to).toEqual(TRUNK.peer);
    test.clock.advance(0);
  });

  it('sends no more than four datagrams a question and leaves no transaction behind when nobody answers for an hour', async () => {
    const test = await watched();
    test.clock.advance(3_600_000);
    const questions = new Set(test.sent.map(({ text }) => header(text, 'Call-ID')));
    expect(test.sent.length).toBeLessThanOrEqual(4 * questions.size);
    expect(questions.size).toBeGreaterThan(3_600 / 15);
    expect(await test.count('sip_transactions')).toBeLessThanOrEqual(1);
    await test.engine.stop();
    expect(test.clock.timers).toBe(0);
  });

  it('over TCP is down when its connection is refused', async () => {
    const test = await watched({ transport: 'tcp' });
    test.clock.advance(0);
    test.opened[0]?.close({ undelivered: true });
    test.clock.advance(1000);
    test.opened[1]?.close({ undelivered: true });
    expect(await up(test)).toBe('0');
    test.clock.advance(10_000);
    test.opened[2]?.receive(reply(last(test, 'OPTIONS'), 200));
    expect(await up(test)).toBe('1');
  });

  it('is asked where the reloaded configuration says that its name is', async () => {
    let wanted: readonly LookUp[] = [];
    const place = { ...TRUNK.peer, transport: 'udp', rank: 0, weight: 0, host: 0 } as const;
    const named = { ...TRUNK, keepAliveS: 30, peer: { address: 'sip.example.com', port: 5060 }, lookUp: { host: 'sip.example.com' } };
    const books: TrunkBook[] = [];
    const test = await EngineUnderTest.start({}, (clock) => {
      const trunks = new TrunkBook(clock, [named]);
      trunks.names = {
        use: (lookUps) => {
          wanted = lookUps;
        },
        failureOf: () => 'nobody asked',
        placesOf: (lookUp) => (wanted.some((each) => each.port === lookUp.port) ? [place] : []),
        onChange: undefined,
      };
      books.push(trunks);
      return { trunks };
    });
    test.clock.advance(0);
    answer(test, last(test, 'OPTIONS'), 200);
    books[0]?.replace([{ ...named, lookUp: { host: 'sip.example.com', port: 5060 } }], 'by-trunks');
    test.engine.configurationChanged();
    const before = test.sent.length;
    test.clock.advance(31_000);
    expect(test.sent.length).toBeGreaterThan(before);
  });

  it('is asked by nobody when it is not configured', async () => {
    const test = await watched({ keepAliveS: undefined });
    test.clock.advance(3_600_000);
    expect([test.sent, await up(test)]).toEqual([[], undefined]);
  });
});
