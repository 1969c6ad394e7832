import { beforeEach, describe, expect, it } from 'vitest';
import { Driver } from '../../../src/base/driver.ts';
import type { DoorEnvelope } from '../../../src/leg/door-envelope.ts';
import { DoorLink, type LinkOutput } from '../../../src/ownership/door-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Output = LinkOutput<string, string>;
type Envelope = DoorEnvelope<string>;

/** One side with its driver; what it says goes into `wire` while it is connected. */
class Side {
  readonly log: string[] = [];
  readonly delivered: string[] = [];
  readonly link: DoorLink<string, string>;
  readonly driver: Driver<Output>;
  readonly incarnation: number;
  wire: ((envelope: Envelope) => void) | undefined;
  static links = 0;

  readonly clock: FakeClock;

  constructor(clock: FakeClock, side: 'dialler' | 'listener', incarnation = 1) {
    this.clock = clock;
    this.incarnation = incarnation;
    const status = () => ({ roles: [], draining: false, load: 0 });
    const makeLinkId = () => {
      Side.links += 1;
      return Side.links;
    };
    this.link = new DoorLink<string, string>(side === 'dialler' ? { side, makeLinkId, status } : { side, status });
    this.driver = new Driver(clock, this.link, (output) => this.#on(output));
  }

  send(message: string): boolean {
    let sent = false;
    this.driver.run((now) => {
      sent = this.link.send(now, message);
    });
    return sent;
  }

  receive(envelope: Envelope): void {
    this.driver.run((now) => this.link.handleEnvelope(now, envelope));
  }

  cut(): void {
    this.wire = undefined;
    this.driver.run((now) => this.link.handleDisconnected(now));
  }

  #on(output: Output): void {
    if (output.type === 'transmit') this.wire?.(output.envelope);
    else if (output.type === 'deliver') this.delivered.push(output.message);
    else if (output.type !== 'status')
      this.log.push('reason' in output ? `${this.clock.now()} ${output.type} ${output.reason}` : `${this.clock.now()} ${output.type}`);
  }
}

/** Joins two sides by a TCP connection: in order, without loss, until it is cut. */
function connect(dialler: Side, listener: Side): void {
  const queue: (() => void)[] = [];
  let running = false;
  const carry = (to: Side, from: Side) => (envelope: Envelope) => {
    queue.push(() => {
      if (from.wire && to.wire) to.receive(envelope);
    });
    if (running) return;
    running = true;
    for (let next = queue.shift(); next; next = queue.shift()) next();
    running = false;
  };
  dialler.wire = carry(listener, dialler);
  listener.wire = carry(dialler, listener);
  listener.driver.run((now) => listener.link.handleConnected(now, dialler.incarnation));
  dialler.driver.run((now) => dialler.link.handleConnected(now, listener.incarnation));
}

describe('a door link', () => {
  let clock: FakeClock;
  let bridge: Side;
  let host: Side;

  beforeEach(() => {
    clock = new FakeClock();
    bridge = new Side(clock, 'dialler');
    host = new Side(clock, 'listener');
  });

  const cut = () => {
    bridge.cut();
    host.cut();
  };

  it('carries messages both ways, once and in order', () => {
    connect(bridge, host);
    for (const each of ['a', 'b', 'c']) expect(bridge.send(each)).toBe(true);
    expect(host.send('x')).toBe(true);
    expect(host.delivered).toEqual(['a', 'b', 'c']);
    expect(bridge.delivered).toEqual(['x']);
    expect(bridge.log).toEqual(['0 up']);
  });

  it('knows before the first connection that nobody will get a message', () => {
    expect(bridge.send('a')).toBe(false);
    expect(host.send('a')).toBe(false);
  });

  it('goes on after a cut with nothing lost and nothing repeated', () => {
    connect(bridge, host);
    bridge.send('a');
    cut();
    bridge.send('b');
    host.send('x');
    clock.advance(4900);
    expect(host.delivered).toEqual(['a']);
    connect(bridge, host);
    expect(host.delivered).toEqual(['a', 'b']);
    expect(bridge.delivered).toEqual(['x']);
    expect(bridge.log).toEqual(['0 up', '4900 up']);
    expect(host.log).toEqual(['0 up', '4900 up']);
  });

  it('sends again what was lost in the cut, in both directions, at every possible moment', () => {
    for (let lostAfter = 0; lostAfter < 6; lostAfter += 1) {
      const time = new FakeClock();
      const [a, b] = [new Side(time, 'dialler'), new Side(time, 'listener')];
      connect(a, b);
      let passed = 0;
      const wire = a.wire;
      a.wire = (envelope) => {
        passed += 1;
        if (passed <= lostAfter) wire?.(envelope);
      };
      for (const each of ['1', '2', '3', '4']) a.send(each);
      a.cut();
      b.cut();
      connect(a, b);
      a.send('5');
      expect(b.delivered).toEqual(['1', '2', '3', '4', '5']);
    }
  });

  it('is lost to both sides when the gap is longer than five seconds', () => {
    connect(bridge, host);
    cut();
    clock.advance(6000);
    expect(bridge.log).toEqual(['0 up', '5000 lost gap']);
    expect(host.log).toEqual(['0 up', '5000 lost gap']);
    expect(bridge.send('late')).toBe(false);
    connect(bridge, host);
    bridge.send('new');
    expect(host.delivered).toEqual(['new']);
  });

  it('is lost to the bridge when the host has started again', () => {
    connect(bridge, host);
    bridge.send('a');
    cut();
    bridge.send('for the old one');
    const restarted = new Side(clock, 'listener', 2);
    connect(bridge, restarted);
    expect(bridge.log).toEqual(['0 up', '0 lost peer_restarted', '0 up']);
    bridge.send('b');
    expect(restarted.delivered).toEqual(['b']);
  });

  it('is lost to the host when the bridge has started again', () => {
    connect(bridge, host);
    cut();
    const restarted = new Side(clock, 'dialler', 2);
    connect(restarted, host);
    expect(host.log).toEqual(['0 up', '0 lost peer_restarted', '0 up']);
    restarted.send('b');
    expect(host.delivered).toEqual(['b']);
  });

  it('is lost to both when one has already given it up', () => {
    connect(bridge, host);
    host.cut();
    clock.advance(2500); // the bridge still believes in its connection
    bridge.cut();
    clock.advance(2600);
    expect(host.log).toEqual(['0 up', '5000 lost gap']);
    connect(bridge, host);
    expect(bridge.log).toEqual(['0 up', '5100 lost peer_restarted', '5100 up']);
    bridge.send('b');
    expect(host.delivered).toEqual(['b']);
  });

  it('gives up a connection that is silent for three seconds, and recovers the link over the next', () => {
    connect(bridge, host);
    clock.advance(10_000); // beats go both ways
    expect(bridge.log).toEqual(['0 up']);
    bridge.wire = () => {}; // a cable is pulled: nobody is told
    host.wire = () => {};
    clock.advance(3000);
    expect(bridge.log).toEqual(['0 up', '13000 disconnect silent']);
    bridge.send('b');
    connect(bridge, host);
    expect(host.delivered).toEqual(['b']);
    expect(bridge.log).toEqual(['0 up', '13000 disconnect silent', '13000 up']);
  });

  it('gives up a peer that stops taking messages, before memory runs out', () => {
    connect(bridge, host);
    bridge.wire = () => {};
    let sent = 0;
    while (sent < 10_000 && bridge.send('x')) {
      sent += 1;
      if (sent === 600) expect(bridge.link.congested).toBe(true);
    }
    expect(sent).toBe(1024);
    expect(bridge.log).toEqual(['0 up', '0 disconnect overflow', '0 lost overflow']);
  });

  it('counts bytes too', () => {
    connect(bridge, host);
    bridge.wire = () => {};
    let sent = 0;
    while (bridge.send('x'.repeat(60_000))) sent += 1;
    expect(sent).toBe(69);
  });

  it('carries many more messages than it can hold, as long as they are taken', () => {
    connect(bridge, host);
    for (let i = 0; i < 5000; i += 1) expect(bridge.send(`${i}`)).toBe(true);
    expect(host.delivered).toHaveLength(5000);
  });

  const nonsense: Envelope[] = [
    { type: 'resume', link: 1, fresh: true, received: 0 },
    { type: 'resumed', known: true, received: 0 },
    { type: 'message', sequence: 7, received: 0, message: 'out of turn' },
    { type: 'message', sequence: 1, received: 99, message: 'acknowledges what was never sent' },
    { type: 'beat', received: 99, status: { roles: [], draining: false, load: 0 } },
  ];

  it.each(nonsense)('ends at nonsense: $type', (envelope) => {
    connect(bridge, host);
    bridge.receive(envelope);
    expect(bridge.delivered).toEqual([]);
    expect(bridge.log).toEqual(['0 up', '0 disconnect protocol', '0 lost protocol']);
  });

  it('ends at garbage, and nothing arrives through a connection given up', () => {
    connect(bridge, host);
    host.driver.run((now) => host.link.handleGarbage(now));
    host.receive({ type: 'message', sequence: 1, received: 0, message: 'late' });
    expect(host.delivered).toEqual([]);
    expect(host.log).toEqual(['0 up', '0 disconnect protocol', '0 lost protocol']);
  });

  it('gives up a connection that never says what it wants', () => {
    host.driver.run((now) => host.link.handleConnected(now, 5));
    clock.advance(3000);
    expect(host.log).toEqual(['3000 disconnect silent']);
    expect(clock.nextTimer()).toBeUndefined();
  });
});
