// Runs the benchmarks named on the command line, or all: `npm run bench -- cost micro`. `--quick` makes them short, for a look.
import { cpus } from 'node:os';
import { runAlone } from './alone.mjs';
import { short } from './figures.mjs';
import { goFirst } from './priority.mjs';
import { yardstickMs } from './yardstick.mjs';

const BENCHES = {
  'set-up': async () => (await import('./set-up.mjs')).benchSetUp,
  delay: async () => (await import('./delay.mjs')).benchDelay,
  cost: async () => (await import('./cost.mjs')).benchCost,
  traces: async () => (await import('./traces.mjs')).benchTraces,
  workers: async () => (await import('./workers.mjs')).benchWorkers,
  transceiver: async () => (await import('./transceiver.mjs')).benchTransceiver,
  relay: async () => (await import('./relay.mjs')).benchRelay,
  dtls: async () => (await import('./dtls.mjs')).benchDtls,
  srtp: async () => (await import('./srtp.mjs')).benchSrtp,
  'phone-way': async () => (await import('./phone-way.mjs')).benchPhoneWay,
  micro: async () => (await import('./micro.mjs')).benchMicro,
  web: async () => (await import('./web.mjs')).benchWeb,
  upstream: async () => (await import('./upstream.mjs')).benchUpstream,
  'first-packet': async () => (await import('./first-packet.mjs')).benchFirstPacket,
  pipeline: async () => (await import('./pipeline.mjs')).benchPipeline,
  turns: async () => (await import('./turns.mjs')).benchTurns,
  amd: async () => (await import('./amd.mjs')).benchAmd,
  sip: async () => (await import('./sip.mjs')).benchSip,
  flood: async () => (await import('./flood.mjs')).benchFlood,
};

const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const options = { quick: process.argv.includes('--quick') };
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`no benchmark is called ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}

await runAlone();
const first = goFirst() ? `, before other processes (${process.env.BENCH_REALTIME === '1' ? 'real-time' : 'nice -15'})` : '';
console.log(`Node ${process.versions.node}, ${cpus().length} cores${first}; fixed calculation ${short(yardstickMs())} ms\n`);
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const bench = await BENCHES[name]();
  const { title, text } = await bench(options);
  console.log(`## ${name}: ${title}\n\n${text}\n`);
}
process.exit(0);
