import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { type ApiEvent, BrowserPeer, postTo } from '../support/browser-peer.ts';
import { type Endpoint, endpointText } from '../support/endpoint.ts';
import { GatewayProcess, type RolesApart, startRolesApart } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { Switchhook } from '../support/switchhook.ts';
import { EventLog, eventually } from '../support/wait.ts';

/*
 * Programs that look into calls and speak to sessions, wherever the sessions live: in the process that has the HTTP door, in a worker behind it, or
 * behind the node door.
 */

/** A program at the WebSocket door. */
class Program {
  readonly events = new EventLog<ApiEvent>();
  readonly closes = new EventLog<string>();
  readonly #socket: WebSocket;

  constructor(http: Endpoint, query: string) {
    this.#socket = new WebSocket(`ws://${endpointText(http)}/v1/realtime?${query}`, ['realtime']);
    this.#socket.on('message', (data: Buffer) => this.events.push(JSON.parse(data.toString('utf8')) as ApiEvent));
    this.#socket.on('close', (code, reason) => this.closes.push(`${code} ${reason.toString('utf8')}`));
    this.#socket.on('error', (error) => this.closes.push(error.message));
  }

  send(event: object): void {
    this.#socket.send(JSON.stringify(event));
  }

  event(type: string): Promise<ApiEvent> {
    return this.events.find((each) => each.type === type, 15_000, `the event ${type}`);
  }

  closed(code: string): Promise<string> {
    return this.closes.find((each) => each.startsWith(code), 15_000, `the close ${code}`);
  }

  leave(): void {
    this.#socket.close();
  }
}

interface Setting {
  /** Where HTTP and SIP are spoken. */
  readonly front: GatewayProcess;
  readonly roles?: RolesApart;
  stop(): Promise<unknown>;
}

async function alone(flags: readonly string[] = []): Promise<Setting> {
  const front = await GatewayProcess.start({ flags });
  return { front, stop: () => front.stop() };
}

async function apart(): Promise<Setting> {
  const roles = await startRolesApart();
  await roles.sip.stop();
  const flags = roles.flags.sip.map((flag) => (flag === 'sip' ? 'sip,control' : flag));
  const front = await GatewayProcess.start({ flags, name: 'ringdown sip,control' });
  const stop = async (): Promise<void> => {
    await front.stop();
    await roles.stop();
  };
  return { front, roles, stop };
}

const hook = new Switchhook();
afterAll(() => hook.close());

describe.each<{ where: string; start: () => Promise<Setting> }>([
  { where: 'in one process', start: () => alone() },
  { where: 'in workers', start: () => alone(['--workers', '2']) },
  { where: 'behind the node door', start: apart },
])('sessions $where', ({ where, start }) => {
  let setting: Setting;
  let http: Endpoint;

  beforeAll(async () => {
    setting = await start();
    http = setting.front.http;
    const ready = async (): Promise<boolean> => (await fetch(`http://${endpointText(http)}/readyz`)).ok;
    await eventually(ready, 20_000, 'the gateway to be ready');
  });
  afterAll(() => setting.stop());

  const command = async (id: string, name: string, body: object = {}): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://${endpointText(http)}/v1/realtime/calls/${id}/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  const calls = async (): Promise<readonly { readonly id: string; readonly [field: string]: unknown }[]> => {
    const response = await fetch(`http://${endpointText(http)}/v1/realtime/calls`);
    return ((await response.json()) as { data: { id: string }[] }).data;
  };

  test('of a phone are looked into, moved along and ended by programs', async () => {
    const call = await hook.call(setting.front.sip);
    await nextSound(call.media, 10_000);
    const [view] = await calls();
    const id = view?.id ?? '';
    const first = new Program(http, `call_id=${id}`);
    const second = new Program(http, `call_id=${id}`);
    expect(await first.event('session.created')).toMatchObject({ session: { id } });
    await second.event('session.created');
    first.send({ type: 'session.update', session: { type: 'realtime', instructions: 'ä'.repeat(60_000) } });
    for (const program of [first, second]) {
      expect((await program.event('session.updated'))['session']).toMatchObject({ instructions: 'ä'.repeat(60_000) });
    }
    first.send({ type: 'no.such.event', event_id: 'mine' });
    expect(await first.event('error')).toMatchObject({ error: { event_id: 'mine' } });
    expect(second.events.all.some(({ type }) => type === 'error')).toBe(false);
    for (const held of [true, false]) {
      expect((await call.reinvite(call.sdp(held ? { direction: 'sendonly' } : {}))).status).toBe(200);
      await first.events.find((each) => each.type === 'call.hold' && each['held'] === held, 5000, `call.hold ${held}`);
    }
    second.leave();
    expect((await command(id, 'accept', { type: 'realtime' })).status).toBe(409);
    expect((await command(id, 'refer', { target_uri: 'nobody' })).status).toBe(400);
    expect((await command(id, 'hangup')).status).toBe(200);
    expect(await first.event('call.ended')).toMatchObject({ reason: 'agent_hangup' });
    await first.closed('1000');
    await eventually(() => call.over, 5000, 'the BYE');
    expect((await command(id, 'hangup')).status).toBe(404);
    expect((await calls()).some((each) => each.id === id)).toBe(false);
  });

  test('without a leg begin with their channel and end with it', async () => {
    const program = new Program(http, 'model=any');
    const created = await program.event('session.created');
    const { id } = created['session'] as { id: string };
    program.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(48_000).toString('base64') });
    program.send({ type: 'input_audio_buffer.clear' });
    await program.event('input_audio_buffer.cleared');
    const sideband = new Program(http, `call_id=${id}`);
    await sideband.event('session.created');
    sideband.leave();
    program.leave();
    await eventually(async () => (await calls()).length === 0, 10_000, 'the session to be over');
  });

  test('of a browser are looked into and ended', async () => {
    const browser = await BrowserPeer.call({ post: postTo(http) });
    await browser.event('session.created');
    const program = new Program(http, `call_id=${browser.sessionId}`);
    await program.event('session.created');
    await eventually(() => browser.loudBetween(0).length > 0, 10_000, 'the greeting');
    expect((await command(browser.sessionId, 'hangup')).status).toBe(200);
    await program.closed('1000');
    await browser.closed.find(() => true, 10_000, 'the goodbye');
    browser.close();
  });

  test('that are not there are told so', async () => {
    const program = new Program(http, 'call_id=rtc_1_AAAAAAAAAAAAAAAAAAAAAA');
    await program.closed('Unexpected server response: 404');
    expect((await command('rtc_1_AAAAAAAAAAAAAAAAAAAAAA', 'hangup')).status).toBe(404);
    expect((await command('rtc_200_AAAAAAAAAAAAAAAAAAAAAA', 'hangup')).status).toBe(404);
  });

  test.runIf(where === 'behind the node door')('that die with their node leave no program waiting', async () => {
    const program = new Program(http, 'model=any');
    await program.event('session.created');
    await setting.roles?.transceiver.kill();
    await program.closed('1011');
    const late = new Program(http, 'model=any');
    await late.closes.find(() => true, 15_000, 'the refusal');
  });
});
