import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import type { DialRequest, Leg, LegHost, LegOrigin } from '../../../src/leg/leg.ts';
import { bridgeMessage, hostMessage } from '../../../src/leg/messages.ts';
import { RemoteLegs } from '../../../src/ownership/remote-legs.ts';
import { ServedLegs } from '../../../src/ownership/served-legs.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const REQUEST: DialRequest = { trunk: 'carrier', destination: '+15550001' };

/** A host and a bridge with the wire's words between them. */
function pair(dial?: (request: DialRequest) => Promise<void>) {
  const commands: string[] = [];
  const ends: unknown[] = [];
  const origins: LegOrigin[] = [];
  let leg: Leg | undefined;
  const host: Pick<LegHost, 'open'> = {
    open: async (opening, given) => {
      leg = given;
      origins.push(opening.origin);
      return {
        sessionId: 'rtc_0_x',
        answer: `${opening.origin.direction} ${opening.origin.callBack?.destination}`,
        tell: (event) => ends.push(event),
        reoffer: async () => 'v=0 again',
      };
    },
  };
  const served: ServedLegs = new ServedLegs(
    host as LegHost,
    (message) => remote.handle(hostMessage.parse(JSON.parse(JSON.stringify(message)))),
    {
      maxLegs: 5,
    },
  );
  const remote: RemoteLegs = new RemoteLegs(
    new FakeClock(),
    (message) => {
      served.handle(bridgeMessage.parse(JSON.parse(JSON.stringify(message))));
      return true;
    },
    { maxLegs: 5, ...(dial ? { dialler: { dial } } : {}) },
  );
  const own: Leg = {
    answer: () => commands.push('answer'),
    reject: () => commands.push('reject'),
    hangup: () => commands.push('hangup'),
    report: () => commands.push('report'),
    refer: (target) => commands.push(`refer ${target}`),
    sendDtmf: (digits) => commands.push(`dtmf ${digits}`),
  };
  return { served, remote, own, commands, ends, origins, leg: () => leg };
}

describe('a call that the owner of sessions wants placed', () => {
  it('is placed by the bridge', async () => {
    const requests: DialRequest[] = [];
    const { served } = pair(async (request) => void requests.push(request));
    await served.dial(REQUEST);
    expect(requests).toEqual([REQUEST]);
  });

  it('is refused with the words of the bridge', async () => {
    const { served } = pair(async () => {
      throw new GatewayError('ERR_FORBIDDEN', 'not among the destinations');
    });
    await expect(served.dial(REQUEST)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN', message: 'not among the destinations' });
    await expect(pair().served.dial(REQUEST)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
  });

  it('fails when the bridge is lost, and no more than a hundred wait', async () => {
    const { served } = pair(() => new Promise(() => undefined));
    const waiting = Array.from({ length: 100 }, () => served.dial(REQUEST).catch((error: GatewayError) => error.code));
    await expect(served.dial(REQUEST)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    served.lost();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ERR_NODE_UNREACHABLE']));
  });
});

it('a leg brings its direction and how to call back, and takes transfers and keys', async () => {
  const { remote, own, commands, ends, leg } = pair();
  const opened = await remote.open({ origin: { kind: 'phone', direction: 'outbound', callBack: REQUEST }, offer: 'v=0' }, own, 1000);
  expect(opened.answer).toBe('outbound +15550001');
  leg()?.refer?.('sip:desk@192.0.2.50');
  leg()?.sendDtmf?.('12#');
  leg()?.sendDtmf?.('garbage');
  expect(commands).toEqual(['refer sip:desk@192.0.2.50', 'dtmf 12#']);
  opened.tell({ type: 'ringing' });
  opened.tell({ type: 'transfer', state: 'failed', status: 603 });
  opened.tell({ type: 'ended', cause: 'rejected', status: 486 });
  expect(ends).toEqual([
    { type: 'ringing' },
    { type: 'transfer', state: 'failed', status: 603 },
    { type: 'ended', cause: 'rejected', status: 486 },
  ]);
});

it('a leg brings all that is known of the call, as it was read', async () => {
  const { remote, own, origins } = pair();
  const origin: LegOrigin = {
    kind: 'phone',
    from: 'sip:+15550001@192.0.2.9',
    to: 'sip:+15550002@192.0.2.1',
    media: 'browser',
    sipCallId: 'a@b',
    direction: 'inbound',
    callBack: REQUEST,
    joins: { sessionId: 'rtc_1_x', leg: 'bob' },
    headers: [{ name: 'Subject', value: 'tea' }],
    facts: { trunk: 'carrier', caller: '+15550001', called: '+15550002', diversions: [{ number: '+15550003', reason: 'user-busy' }] },
  };
  await remote.open({ origin, offer: 'v=0' }, own, 1000);
  expect(origins).toEqual([origin]);
});
