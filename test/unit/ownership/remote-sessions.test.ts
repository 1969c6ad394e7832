import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel } from '../../../src/leg/session-host.ts';
import { MAX_EVENT_CHARACTERS, sessionReply, sessionRequest } from '../../../src/leg/session-messages.ts';
import { RemoteSessions, type SessionDoor } from '../../../src/ownership/remote-sessions.ts';
import { ServedSessions } from '../../../src/ownership/served-sessions.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ACCESS: Access = { project: 'default', ephemeral: false };
const ID = 'rtc_7_AAAAAAAAAAAAAAAAAAAAAA';
const VIEW: CallView = { id: ID, project: 'default', kind: 'phone', direction: 'inbound', state: 'live', startedAt: 5 };

/** An owner that does what the test says. */
class ScriptedOwner implements SessionDoor {
  readonly heard: string[] = [];
  readonly commands: CallCommand[] = [];
  readonly openings: ChannelOpening[] = [];
  channel: EventChannel | undefined;
  refusal: GatewayError | undefined;
  left = 0;
  pending: Promise<void> = Promise.resolve();

  async connect(opening: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    this.openings.push(opening);
    return this.#open(channel);
  }

  async attach(_sessionId: string, _access: Access, channel: EventChannel): Promise<OpenedChannel> {
    return this.#open(channel);
  }

  async command(_sessionId: string, _access: Access, command: CallCommand): Promise<void> {
    await this.pending;
    if (this.refusal) throw this.refusal;
    this.commands.push(command);
  }

  async restart(_sessionId: string, _access: Access, offer: string): Promise<string> {
    await this.pending;
    if (this.refusal) throw this.refusal;
    return `answer to ${offer}`;
  }

  async list(): Promise<readonly CallView[]> {
    return [VIEW];
  }

  async #open(channel: EventChannel): Promise<OpenedChannel> {
    await this.pending;
    if (this.refusal) throw this.refusal;
    this.channel = channel;
    channel.send('{"type":"session.created"}');
    return { sessionId: ID, receive: (event) => void this.heard.push(event), close: () => void this.left++ };
  }
}

/** A program's end that notes what comes; `reads` false is one that does not read. */
class NotedChannel implements EventChannel {
  readonly events: string[] = [];
  closed: [number, string] | undefined;
  reads = true;

  send(event: string): boolean {
    if (this.reads) this.events.push(event);
    return this.reads;
  }

  close(code: number, reason: string): void {
    this.closed = [code, reason];
  }
}

/** Door and owner with the wire's words between them. */
function pair({ holding = false } = {}) {
  const owner = new ScriptedOwner();
  const clock = new FakeClock();
  const wire = { up: true, pieces: 0, held: [] as (() => void)[] };
  const served: ServedSessions = new ServedSessions(owner, (message) => {
    if (!wire.up) return false;
    const read = sessionReply.parse(JSON.parse(JSON.stringify(message)));
    if (read.type === 'text') wire.pieces += 1;
    if (holding) wire.held.push(() => remote.handle(read));
    else remote.handle(read);
    return true;
  });
  const remote: RemoteSessions = new RemoteSessions(clock, (message) => {
    if (!wire.up) return false;
    served.handle(sessionRequest.parse(JSON.parse(JSON.stringify(message))));
    return true;
  });
  return { owner, clock, wire, served, remote };
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: GatewayError) => error.code,
  );

describe('a channel to a session at another node', () => {
  it('carries events both ways in order, and is left by either side', async () => {
    const { owner, remote, served } = pair();
    const channel = new NotedChannel();
    const opened = await remote.connect({ access: ACCESS, session: { type: 'realtime', model: 'm' } }, channel);
    expect(opened.sessionId).toBe(ID);
    expect(owner.openings[0]).toMatchObject({ access: ACCESS, session: { type: 'realtime', model: 'm' } });
    opened.receive('one');
    opened.receive('two');
    owner.channel?.send('three');
    expect(owner.heard).toEqual(['one', 'two']);
    expect(channel.events).toEqual(['{"type":"session.created"}', 'three']);
    opened.close();
    opened.close();
    expect([owner.left, remote.size, served.size]).toEqual([1, 0, 0]);
    expect(owner.channel?.send('late')).toBe(false);

    const other = new NotedChannel();
    await remote.attach(ID, ACCESS, other);
    owner.channel?.close(1000, 'call ended');
    expect(other.closed).toEqual([1000, 'call ended']);
    expect([owner.left, remote.size, served.size]).toEqual([1, 0, 0]);
  });

  it('takes an event of the largest size in pieces, surrogates and quotes included, and gets its room back', async () => {
    const { owner, remote, wire } = pair();
    const channel = new NotedChannel();
    const opened = await remote.attach(ID, ACCESS, channel);
    const large = '"🙂\u0000'.repeat(MAX_EVENT_CHARACTERS / 4);
    for (let n = 0; n < 2; n++) {
      opened.receive(large);
      expect(owner.heard.pop() === large).toBe(true);
    }
    expect(owner.channel?.send(large)).toBe(true);
    expect(channel.events.at(-1) === large).toBe(true);
    expect(wire.pieces).toBeGreaterThan(600);
    opened.receive(`${large}${'x'.repeat(3)}`);
    expect(channel.closed).toEqual([1009, 'event too large']);
    expect(owner.left).toBe(1);
  });

  it('is closed when its program does not read, or the way there is jammed', async () => {
    const { owner, remote } = pair();
    const channel = new NotedChannel();
    await remote.attach(ID, ACCESS, channel);
    channel.reads = false;
    owner.channel?.send('unread');
    expect(channel.closed).toEqual([1013, 'too slow']);
    expect(owner.left).toBe(1);

    const jammed = pair({ holding: true });
    const slow = new NotedChannel();
    const opening = jammed.remote.attach(ID, ACCESS, slow);
    await new Promise((resolve) => setImmediate(resolve));
    for (const deliver of jammed.wire.held.splice(0)) deliver();
    await opening;
    let sent = 0;
    while (jammed.owner.channel?.send('x'.repeat(1_000_000)) && sent < 100) sent += 1;
    expect(sent).toBe(23);
  });

  it('is refused in the words of the owner, the parameter included', async () => {
    const { owner, remote, served } = pair();
    owner.refusal = new GatewayError('ERR_BAD_REQUEST', 'no such voice', { param: 'session.audio.output.voice' });
    const refused = remote.connect({ access: ACCESS, session: {} }, new NotedChannel());
    await expect(refused).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST', message: 'no such voice', param: 'session.audio.output.voice' });
    expect([remote.size, served.size]).toEqual([0, 0]);
    const huge = { instructions: 'x'.repeat(300_000) };
    expect(await codeOf(remote.connect({ access: ACCESS, session: huge }, new NotedChannel()))).toBe('ERR_BAD_REQUEST');
    expect(await codeOf(remote.command(ID, ACCESS, { type: 'accept', session: huge }))).toBe('ERR_BAD_REQUEST');
  });

  it('is closed with 1011 when the connection is lost, and its session is told that the program left', async () => {
    const { owner, remote, served, wire } = pair();
    const channel = new NotedChannel();
    const opened = await remote.attach(ID, ACCESS, channel);
    owner.pending = new Promise(() => undefined);
    const waiting = [codeOf(remote.attach(ID, ACCESS, new NotedChannel())), codeOf(remote.command(ID, ACCESS, { type: 'hangup' }))];
    wire.up = false;
    remote.lost();
    served.lost();
    expect(channel.closed).toEqual([1011, 'connection to the session lost']);
    expect(await Promise.all(waiting)).toEqual(['ERR_NODE_UNREACHABLE', 'ERR_NODE_UNREACHABLE']);
    expect(owner.left).toBe(1);
    opened.receive('too late');
    expect(await codeOf(remote.attach(ID, ACCESS, channel))).toBe('ERR_NODE_UNREACHABLE');
    expect(await codeOf(remote.list(ACCESS))).toBe('ERR_NODE_UNREACHABLE');
    expect(await codeOf(remote.restart(ID, ACCESS, 'v=0'))).toBe('ERR_NODE_UNREACHABLE');
    expect([remote.size, served.size]).toEqual([0, 0]);
  });

  it('is not waited for longer than five seconds, and is let go by an owner that answers late', async () => {
    const { owner, remote, clock, served } = pair();
    let answer = (): void => undefined;
    owner.pending = new Promise((resolve) => {
      answer = resolve;
    });
    const late = codeOf(remote.attach(ID, ACCESS, new NotedChannel()));
    const command = codeOf(remote.command(ID, ACCESS, { type: 'hangup' }));
    clock.advance(5000);
    expect(await Promise.all([late, command])).toEqual(['ERR_TIMEOUT', 'ERR_TIMEOUT']);
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect([owner.left, served.size, clock.timers]).toEqual([1, 0, 0]);
  });
});

describe('a command to a session at another node', () => {
  it('is carried out there, and its refusal comes back', async () => {
    const { owner, remote, clock } = pair();
    await remote.command(ID, ACCESS, { type: 'refer', target: 'sip:desk@192.0.2.1' });
    await remote.command(ID, ACCESS, { type: 'reject', status: 486 });
    expect(owner.commands).toEqual([
      { type: 'refer', target: 'sip:desk@192.0.2.1' },
      { type: 'reject', status: 486 },
    ]);
    expect(await remote.list(ACCESS)).toEqual([VIEW]);
    expect(await remote.restart(ID, ACCESS, 'v=0')).toBe('answer to v=0');
    owner.refusal = new GatewayError('ERR_INVALID_STATE', 'decided');
    expect(await codeOf(remote.command(ID, ACCESS, { type: 'accept', session: { type: 'realtime' } }))).toBe('ERR_INVALID_STATE');
    expect(clock.timers).toBe(0);
  });

  it('to refer may take as long as a transfer takes', async () => {
    const { owner, remote, clock } = pair();
    owner.pending = new Promise(() => undefined);
    let outcome = 'open';
    void codeOf(remote.command(ID, ACCESS, { type: 'refer', target: 'sip:x@y' })).then((code) => {
      outcome = code;
    });
    clock.advance(39_000);
    await Promise.resolve();
    expect(outcome).toBe('open');
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcome).toBe('ERR_TIMEOUT');
  });
});
