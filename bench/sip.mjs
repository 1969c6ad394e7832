import { spawn, spawnSync } from 'node:child_process';
import { Child } from './child.mjs';
import { table } from './figures.mjs';
import { cpuBetween, Gateway } from './gateway.mjs';
import { withYardstick } from './yardstick.mjs';

const HOLD_MS = 500;

/** sipp's own caller against the SIP engine alone, and against the whole gateway. */
export async function benchSip({ quick }) {
  const title = 'sipp -sn uac, calls of 500 ms: CPU of the called side';
  if (spawnSync('sipp', ['-v']).error) return { title, text: 'skipped: sipp is not installed (npm run peers)' };
  const rows = [];
  for (const perSecond of [100, 200]) {
    const calls = perSecond * (quick ? 5 : 15);
    rows.push(await measure('SIP engine alone', startEngine, perSecond, calls));
    rows.push(await measure('whole gateway', startGateway, perSecond, calls));
  }
  return {
    title,
    text: table(
      ['what', 'calls/s', 'calls', 'failed', 'ms of CPU a call', '% of a core', 'retransmissions by sipp', 'fixed calculation ms'],
      rows,
    ),
  };
}

async function startEngine() {
  const child = new Child('./sip-child.mjs');
  const [, port] = await child.printed(/^ready (\d+)$/m);
  return { port: Number(port), figures: () => child.ask({ gc: false }), stop: () => child.stop() };
}

async function startGateway() {
  const gateway = await Gateway.start();
  return { port: gateway.sip.port, figures: () => gateway.figures(), stop: () => gateway.stop() };
}

async function measure(name, start, perSecond, calls) {
  const server = await start();
  await sipp(server.port, perSecond / 4, perSecond); // compiles
  const before = await server.figures();
  const startedAt = performance.now();
  const { value, yardMs } = await withYardstick(() => sipp(server.port, perSecond, calls));
  const elapsedMs = performance.now() - startedAt;
  const cpuMs = cpuBetween(before, await server.figures());
  await server.stop();
  return [name, perSecond, `${calls}`, `${value.failed}`, cpuMs / calls, (cpuMs / elapsedMs) * 100, `${value.retransmissions}`, yardMs];
}

/** @returns what sipp says of itself at its end */
async function sipp(port, perSecond, calls) {
  const flags = [
    '-sn',
    'uac',
    '-r',
    perSecond,
    '-m',
    calls,
    '-d',
    HOLD_MS,
    '-i',
    '127.0.0.1',
    '-nostdin',
    '-timeout',
    120,
    `127.0.0.1:${port}`,
  ];
  const child = spawn('sipp', flags.map(String), { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TERM: 'dumb' } });
  let output = '';
  child.stdout.on('data', (data) => {
    output = (output + data).slice(-20_000);
  });
  await new Promise((resolve) => child.once('close', resolve));
  const last = (pattern) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN);
  const retransmissions = [...output.slice(output.lastIndexOf('INVITE ------')).matchAll(/^\s*(?:INVITE|BYE) -+>\s+\d+\s+(\d+)/gm)];
  return {
    failed: last(/Failed call\s*\|\s*\d+\s*\|\s*(\d+)/g),
    retransmissions: retransmissions.reduce((sum, [, count]) => sum + Number(count), 0),
  };
}
