import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Readiness } from '../../../src/control/health-routes.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('where drachtio servers are sent', () => {
  let readiness: Readiness = { ready: true };
  let allowed = true;
  let listens: string | undefined = '127.0.0.1:9023';
  let door: HttpDoor;
  let url = '';

  beforeEach(async () => {
    const drachtio = { mayAsk: () => allowed, at: () => listens };
    const deps = { clock: new FakeClock(), log: createLog('silent'), metrics: new Metrics(), readiness: () => readiness };
    door = new HttpDoor(deps, { bind: '127.0.0.1', port: 0, api: { projects: [], host: () => undefined, drachtio } });
    url = `http://127.0.0.1:${(await door.start()).port}/drachtio/route`;
  });
  afterEach(() => door.stop());

  const ask = async (method: string): Promise<unknown> => {
    const response = await fetch(`${url}?method=${method}&domain=x&uri=sip%3Ax`);
    return [response.status, await response.json()];
  };
  const HERE = [200, { action: 'route', data: { uri: '127.0.0.1:9023' } }];
  const REFUSED = [200, { action: 'reject', data: { status: 503, reason: 'Service Unavailable' } }];

  test('to us; new calls not while we drain; nowhere while nothing listens', async () => {
    expect(await ask('INVITE')).toEqual(HERE);
    readiness = { ready: false, reason: 'draining' };
    expect([await ask('INVITE'), await ask('OPTIONS')]).toEqual([REFUSED, HERE]);
    listens = undefined;
    expect(await ask('OPTIONS')).toEqual(REFUSED);
  });

  test('whoever is not allowed learns nothing, and nothing else can be asked', async () => {
    allowed = false;
    expect((await fetch(url)).status).toBe(403);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });
});
