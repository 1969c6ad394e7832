import { expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { Alerts } from '../../../src/control/alerts.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function started() {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const posted: { data: Record<string, unknown>; type: string }[] = [];
  const lines: string[] = [];
  const alerts = new Alerts(
    {
      clock,
      log: createLog('warn', { write: (line) => void lines.push(line) }),
      metrics,
      post: async (_url, headers, body) => {
        expect(headers['webhook-signature']).toMatch(/^v1,/);
        posted.push(JSON.parse(body));
        return 200;
      },
    },
    { everyMs: 60_000, webhook: { url: 'https://ops.example.com', secrets: ['whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODk='] } },
  );
  return { clock, metrics, posted, lines, alerts };
}

test('a cap that refuses calls again and again is told once a minute, with how often it did, and counted each time', async () => {
  const { clock, metrics, posted, lines, alerts } = started();
  const book = new TrunkBook(clock, [
    {
      name: 'carrier',
      peer: { address: '192.0.2.9', port: 5060 },
      transport: 'udp',
      addresses: [],
      caps: { concurrent: 1, perSecond: 1000, perDay: 1000, durationS: 60 },
      destinations: ['+1*'],
      redirects: 'refuse',
      refer: 'refuse',
    },
  ]);
  book.onAlert = (alert) => alerts.raise(alert);
  for (let at = 0; at < 11; at += 1) book.admitInbound('192.0.2.9');
  clock.advance(61_000);
  book.admitInbound('192.0.2.9');
  await Promise.resolve();
  const about = { kind: 'cap_concurrent', subject: 'carrier', detail: 'trunk carrier has reached its cap: 1 calls at once' };
  expect(posted).toMatchObject([
    { type: 'ringdown.alert', data: { ...about, suppressed: 0 } },
    { type: 'ringdown.alert', data: { ...about, suppressed: 9 } },
  ]);
  expect(lines).toHaveLength(2);
  expect(await metrics.text()).toContain('ringdown_alerts_total{kind="cap_concurrent"} 11');
});

test('an attack from a thousand addresses is told thirty times a minute', async () => {
  const { clock, lines, alerts } = started();
  const attack = (): void => {
    for (let at = 0; at < 1000; at += 1) alerts.raise({ kind: 'rate_limited', subject: `198.51.100.${at}`, detail: 'too many' });
  };
  attack();
  expect(lines).toHaveLength(30);
  clock.advance(61_000);
  attack();
  expect(lines).toHaveLength(60);
});
