import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKER_ADDRESS, lastingGapMs } from '../support/attacker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { elapse } from '../support/wait.ts';

describe('the HTTP port', () => {
  let gateway: GatewayProcess;
  let slack: MachineSlack;
  let phone: SipPhone;
  let call: PhoneCall;

  beforeAll(async () => {
    gateway = await GatewayProcess.start();
    slack = new MachineSlack(gateway.pid);
    phone = await SipPhone.open();
    call = await phone.dial(gateway.sip);
    await call.answered();
  });

  afterAll(async () => {
    slack.stop();
    await call.bye();
    phone.close();
    await gateway.stop();
  });

  /** Sends a request as it is. @returns the first line of the answer and its body */
  async function raw(lines: readonly string[]): Promise<{ readonly status: number; readonly body: string }> {
    const socket = connect(gateway.http.port, '127.0.0.1');
    socket.end(`${lines.join('\r\n')}\r\n\r\n`);
    const answer = await text(socket);
    return { status: Number(answer.split(' ')[1] ?? 0), body: answer.slice(answer.indexOf('\r\n\r\n') + 4) };
  }

  const host = 'Host: 127.0.0.1';
  test.each([
    ['a name that points here (DNS rebinding)', ['GET /metrics HTTP/1.1', 'Host: attacker.example']],
    ['a name that begins like us', ['GET /metrics HTTP/1.1', 'Host: 127.0.0.1.attacker.example']],
    ['a name with our address as its user', ['GET /metrics HTTP/1.1', 'Host: 127.0.0.1@attacker.example']],
    ['two hosts', ['GET /metrics HTTP/1.1', host, 'Host: attacker.example']],
    ['an absolute URI', ['GET http://attacker.example/metrics HTTP/1.1', 'Host: attacker.example']],
    ['no host', ['GET /metrics HTTP/1.0']],
    ['the origin of another page', ['GET /metrics HTTP/1.1', host, 'Origin: https://attacker.example']],
    ['the origin of a file', ['GET /metrics HTTP/1.1', host, 'Origin: null']],
    ['the origin of another port', ['GET /metrics HTTP/1.1', host, 'Origin: http://127.0.0.1:1']],
    ['a page of another site', ['GET /metrics HTTP/1.1', host, 'Sec-Fetch-Site: cross-site']],
    ['X-Forwarded-For us', ['GET /metrics HTTP/1.1', host, 'X-Forwarded-For: 127.0.0.1']],
    ['Forwarded for us', ['GET /metrics HTTP/1.1', host, 'Forwarded: for=127.0.0.1;host=127.0.0.1']],
    ['an empty Forwarded', ['GET /metrics HTTP/1.1', host, 'Forwarded:']],
    ['X-Real-IP', ['GET /metrics HTTP/1.1', host, 'X-Real-IP: 127.0.0.1']],
    ['Via', ['GET /metrics HTTP/1.1', host, 'Via: 1.1 proxy']],
  ])('tells no figures to %s', async (_, lines) => {
    const { status, body } = await raw([...lines, 'Connection: close']);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(body).not.toContain('ringdown_');
  });

  test.each([
    ['a path beside the files', ['GET /../../etc/passwd HTTP/1.1', host]],
    ['a property of objects', ['GET /__proto__ HTTP/1.1', host]],
    ['a constructor', ['GET /constructor HTTP/1.1', host]],
    ['a tunnel', ['CONNECT attacker.example:443 HTTP/1.1', host]],
    ['a method of its own', ['BREW /metrics HTTP/1.1', host]],
    ['lengths that contradict each other', ['POST /healthz HTTP/1.1', host, 'Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['a huge header', ['GET /healthz HTTP/1.1', host, `X: ${'a'.repeat(20_000)}`]],
    ['an upgrade', ['GET /metrics HTTP/1.1', host, 'X-Forwarded-For: 1.1.1.1', 'Upgrade: websocket', 'Connection: Upgrade']],
  ])('refuses %s', async (_, lines) => {
    const { status, body } = await raw([...lines, ...(lines.includes('Connection: Upgrade') ? [] : ['Connection: close'])]);
    expect([0, 400, 403, 404, 405, 431]).toContain(status);
    expect(body).not.toContain('ringdown_');
  });

  test('answers health checks while one address holds all the connections it gets, and the calls do not notice', async () => {
    const from = call.media.arrivals.count;
    const sockets: Socket[] = [];
    for (let n = 0; n < 400; n++) {
      const socket = connect({ port: gateway.http.port, host: '127.0.0.1', localAddress: ATTACKER_ADDRESS });
      socket.on('error', () => undefined);
      // Some say nothing, some begin and never end, some are closed half at the end.
      if (n % 3 === 1) socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ');
      if (n > 350) socket.end('GET /healthz HTTP/1.1\r\n');
      sockets.push(socket);
    }
    let healthy = 0;
    let slowestMs = 0;
    for (let n = 0; n < 12; n++) {
      const at = performance.now();
      // A connection of its own, as each new monitor makes one.
      const { status } = await raw(['GET /healthz HTTP/1.1', host, 'Connection: close']).catch(() => ({ status: 0 }));
      if (status === 200) healthy += 1;
      slowestMs = Math.max(slowestMs, performance.now() - at);
      await elapse(200);
    }
    for (const socket of sockets) socket.destroy();
    const gap = lastingGapMs([call.media.arrivals.all.slice(from).map(({ at }) => at)]);
    console.log(
      `figures: ${healthy} of 12 health checks beside 400 idle connections, slowest ${slowestMs.toFixed(0)} ms; longest gap of a call ${gap.toFixed(0)} ms`,
    );
    expect(healthy).toBe(12);
    expect(slowestMs).toBeLessThan(500 + slack.worstMs);
    expect(gap).toBeLessThan(60 + slack.worstMs);
  });
});
