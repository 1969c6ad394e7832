import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { createRoutes } from '../../../src/gateway-routes.ts';
import { identifyCaller } from '../../../src/sip/identify-caller.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const secret = 'a-secret-of-some-length';
const env = { CARRIER_PASSWORD: secret, ALICE_PASSWORD: secret, BOB_PASSWORD: secret, HOOK_SECRET: secret };

test('the annotated example is a configuration, and each decision names its line', () => {
  const { config } = loadConfig(['--config', 'examples/ringdown.yaml'], { env, directory: process.cwd() });
  expect(config.trunks.map(({ name }) => name)).toEqual(['carrier', 'pbx']);
  expect(config.trunks[0]?.register).toMatchObject({ username: '4930555', password: secret, expiresS: 600 });
  const { rules } = new TrunkBook(new FakeClock(), config.trunks, undefined, config.callers);
  const facts = { address: '10.0.0.5', showsCredentials: false };
  expect(identifyCaller(facts, { ...rules, hasUsers: true })).toMatchObject({
    presumed: { type: 'trunk', trunk: { name: 'pbx' } },
    tried: [
      {
        rule: 'trunks.carrier.addresses',
        at: 'examples/ringdown.yaml:7',
        matched: false,
        why: '10.0.0.5 is none of 192.0.2.9, 192.0.2.0/28, 2001:db8:9::/64',
      },
      { rule: 'trunks.pbx.peer', at: 'examples/ringdown.yaml:20', matched: true, why: '10.0.0.5 is one of its addresses' },
    ],
  });
  const tried: { rule: string; at?: string; matched: boolean; why: string }[] = [];
  const saturday = Date.UTC(2026, 0, 3, 10);
  const routing = createRoutes(config).routeFor({ to: 'sip:x@y', number: '+4930555', trunk: 'carrier', at: saturday }, tried);
  expect(routing.webhook?.url).toBe('https://shop.example.com/calls');
  expect(tried).toEqual([
    { rule: 'routes[0]', at: 'examples/ringdown.yaml:36', matched: false, why: 'user: none is not *' },
    { rule: 'routes[1]', at: 'examples/ringdown.yaml:38', matched: false, why: 'hours: not now' },
    { rule: 'routes[2]', at: 'examples/ringdown.yaml:41', matched: true, why: 'it fits' },
  ]);
});
