import { expect, test } from 'vitest';
import { parseDoors } from '../../support/doors.ts';
import { EgressWatch } from '../../support/egress-watch.ts';
import { GatewayProcess, parseLogLine } from '../../support/gateway-process.ts';
import { gatewayUnderTest } from '../../support/gateway-under-test.ts';

test('door lines are read, other lines are none', () => {
  const lines = [
    'sip    UDP 127.0.0.1:5060',
    'relay  UDP 0.0.0.0:3478',
    'http  TCP [::1]:8080',
    'rtp    UDP 16384-32767',
    'dial sip:agent@127.0.0.1:5060',
    '',
  ];
  expect([...parseDoors(lines)]).toEqual([
    ['sip', { address: '127.0.0.1', port: 5060 }],
    ['relay', { address: '127.0.0.1', port: 3478 }],
    ['http', { address: '::1', port: 8080 }],
  ]);
});

test('a door may be written as a URL or with several transports', () => {
  const lines = ['http   http://127.0.0.1:8080 (/healthz)', 'sip    udp 127.0.0.1:5060', 'inner  udp+tcp 127.0.0.1:3479'];
  expect([...parseDoors(lines).values()].map(({ port }) => port)).toEqual([8080, 5060, 3479]);
});

test('log lines are JSON, the rest is not the log', () => {
  expect(parseLogLine('{"level":30,"msg":"started"}')).toEqual({ level: 30, msg: 'started' });
  expect(parseLogLine('{broken')).toBeUndefined();
  expect(parseLogLine('Warning: something')).toBeUndefined();
});

test('a gateway in this process serves health and metrics and leaves nothing behind', async () => {
  const gateway = await gatewayUnderTest();
  expect(gateway.http.port).toBeGreaterThan(0);
  expect((await gateway.metrics()).names.length).toBeGreaterThan(0);
  expect(gateway.cdrs()).toEqual([]);
  await gateway.stop();
  await expect(fetch(`http://127.0.0.1:${gateway.http.port}/healthz`)).rejects.toThrow();
});

test('a gateway process starts on free ports, is read, restarted on the same ones, and ends with 0', async () => {
  const watch = new EgressWatch();
  const gateway = await GatewayProcess.start({ env: watch.env });
  expect((await gateway.metrics()).names.length).toBeGreaterThan(0);
  expect(gateway.figures().rssBytes).toBeGreaterThan(10e6);
  const { port } = gateway.http;
  await gateway.kill();
  await gateway.restart();
  expect(gateway.http.port).toBe(port);
  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
  expect(watch.contacts()).toEqual([]);
  watch.close();
});

test('a gateway that cannot start says why', async () => {
  await expect(GatewayProcess.start({ flags: ['--sip-port', 'many'] })).rejects.toThrow(/sip-port/);
});
