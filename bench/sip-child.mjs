// The SIP engine alone: answers every call at once, has no media.
import { built } from './built.mjs';
import { goFirst } from './priority.mjs';

goFirst();
process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const { systemClock: clock } = await built('base/clock.js');
const { createLog } = await built('base/log.js');
const { Metrics } = await built('base/metrics.js');
const { EmbeddedEngine } = await built('sip/embedded/embedded-engine.js');

const engine = new EmbeddedEngine(
  { clock, log: createLog('info', process.stderr), metrics: new Metrics() },
  { bind: '127.0.0.1', port: 0, requestsPerSecond: 0, userAgent: 'bench' },
);
const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n';
engine.onInvite = (invite) => {
  invite.ring();
  invite.answer(SDP);
};
const [{ port }] = await engine.start();
process.on('message', ({ gc }) => {
  if (gc) globalThis.gc?.();
  process.send({ cpu: process.cpuUsage(), memory: process.memoryUsage() });
});
process.on('SIGTERM', () => process.exit(0));
console.log(`ready ${port}`);
