import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { calledBack } from '../support/called-back.ts';
import { DrachtioDouble } from '../support/drachtio-double.ts';
import { type Endpoint, endpointText, LOOPBACK } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

/* The whole gateway behind drachtio servers, played by a double: one that comes to us with each call, and one that we go to. */

const SECRET = 'k33p-0ut';

describe('a gateway behind drachtio servers', () => {
  const hook = new Switchhook();
  const folder = tempFolder('drachtio');
  let gateway: GatewayUnderTest;
  /** Asks where to go, and goes there. */
  let asking: DrachtioDouble;
  /** Is gone to. */
  let visited: DrachtioDouble;
  let trunk: SipPhone;
  let program: Endpoint = { address: LOOPBACK, port: 9 };

  beforeAll(async () => {
    trunk = await hook.phone({ user: 'alice' });
    visited = await DrachtioDouble.open({ secret: SECRET });
    asking = await DrachtioDouble.open({ secret: SECRET, program: () => program });
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
drachtio:
  secret: ${SECRET}
  listen: 127.0.0.1:0
  servers: ["${endpointText(visited.admin)}"]
trunks:
  - name: pbx
    peer: ${endpointText(trunk.local)}
    addresses: [127.0.0.1]
    caps: { concurrent: 5, per-second: 100 }
    destinations: [alice]
agent:
  callback-trunk: pbx
`,
    );
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file] });
    await eventually(() => visited.programs > 0, 5000, 'the gateway at the server');
    const answer = await route('INVITE');
    expect(answer).toMatchObject({ action: 'route' });
    const [address = '', port = ''] = (answer.data?.uri ?? '').split(':');
    program = { address, port: Number(port) };
  });

  afterAll(async () => {
    await hook.close();
    await gateway.stop();
    asking.close();
    visited.close();
    removeFolder(folder);
  });

  async function route(method: string): Promise<{ action: string; data?: { uri?: string; status?: number } }> {
    const response = await fetch(`http://${endpointText(gateway.http)}/drachtio/route?method=${method}`);
    expect(response.status).toBe(200);
    return (await response.json()) as { action: string };
  }

  test('a call of either kind hears the agent, and leaves a record', async () => {
    const before = gateway.cdrs().length;
    const calls = await Promise.all([asking, visited].map((server) => hook.call(server.sip, {}, trunk)));
    await Promise.all(
      calls.map(async (call) => {
        await nextSound(call.media, 5000);
        await call.media.press('#');
        await call.hungUp(8000);
      }),
    );
    await eventually(() => gateway.cdrs().length >= before + 2, 5000, 'two records');
    expect(gateway.cdrs().at(-1)).toMatchObject({ cause: 'agent_hangup', sip_status: 200 });
    // The server leaves it to us to end the connection of a call.
    await eventually(() => asking.programs === 0, 8000, 'the end of the connection');
  });

  test('a caller is called back by way of the server that we went to', async () => {
    const back = await calledBack(hook, trunk, visited.sip);
    expect((await back.bye()).status).toBe(200);
  });

  test('a server that dies takes no audio with it, and is gone to again within 2 s', async () => {
    const call = await hook.call(visited.sip, {}, trunk);
    await nextSound(call.media, 5000);
    const lateness = new Lateness();
    const droppedAt = performance.now();
    visited.dropPrograms();
    await eventually(() => visited.programs > 0, 2000 + 3000, 'the gateway again');
    expect(performance.now() - droppedAt).toBeLessThan(2000 + (await lateness.soFar()));
    lateness.stop();
    const heard = call.media.recording().samples.length;
    await elapse(300);
    expect(call.media.recording().samples.length).toBeGreaterThan(heard);
    const other = await hook.call(visited.sip, {}, trunk);
    await nextSound(other.media, 5000);
    await other.bye();
    call.close();
  });

  test('a stranger at the door never hears the secret', async () => {
    const heard: Buffer[] = [];
    const socket = connect({ port: program.port, host: program.address, localAddress: '127.0.0.7' });
    socket.on('data', (chunk) => heard.push(chunk));
    await new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined));
    expect(Buffer.concat(heard).toString()).toBe('');
  });

  test('what is no frame ends its connection and nothing else; a request that nobody can read is answered', async () => {
    const call = await hook.call(asking.sip, {}, trunk);
    await nextSound(call.media, 5000);
    const lines = ['INVITE  sip:x  SIP/2.0', 'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKodd', 'From: <sip:a@b>;tag=1', 'To: <sip:c@d>'];
    visited.sendRequest([...lines, 'Call-ID: odd', 'CSeq: 1 INVITE', 'Content-Length: 0', '', ''].join('\r\n'), 'odd-transaction');
    await visited.heard.find((line) => line.includes('|sip|odd-transaction|'), 5000, 'the answer to it');
    visited.sendRaw('rubbish that is no frame');
    await eventually(() => visited.programs === 0, 5000, 'the end of that connection');
    await eventually(() => visited.programs > 0, 5000, 'a new one');
    const heard = call.media.recording().samples.length;
    await elapse(200);
    expect(call.media.recording().samples.length).toBeGreaterThan(heard);
    expect((await call.bye()).status).toBe(200);
  });
});
