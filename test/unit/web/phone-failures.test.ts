import { describe, expect, it } from 'vitest';
import { NotReachable, phoneFailure, SipRefused } from '../../../web/phone-failures.ts';

describe('what the softphone says of a failure', () => {
  it.each([
    ['register', 403, 'Wrong user or password', 'The gateway does not know this name with this password.'],
    ['register', 503, 'Too many tries', 'After several wrong passwords the gateway waits. Try again in a minute.'],
    ['call', 404, 'The call was not taken', 'Nobody is known by this name, or not registered.'],
    ['call', 499, 'The call was not taken', 'The answer was 499.'],
    ['hold', 504, 'The call cannot be held', 'The gateway answered 504.'],
    ['transfer', 486, 'Not transferred', 'The line is busy. You still have the call.'],
    ['transfer', 403, 'Not transferred', 'There is nobody of this name whom you may call. You still have the call.'],
    ['transfer', 481, 'Not transferred', 'One of the two calls is over. You still have the call.'],
  ] as const)('%s, %i', (asked, status, title, text) => {
    expect(phoneFailure(new SipRefused(asked, status))).toEqual({ title, text });
  });

  it('tells a gateway that is gone from a microphone that is', () => {
    expect(phoneFailure(new NotReachable()).title).toBe('The gateway cannot be reached');
    expect(phoneFailure(Object.assign(new Error('no'), { name: 'NotAllowedError' })).title).toBe('The microphone is blocked');
    expect(phoneFailure(new Error('odd'))).toEqual({ title: 'That failed', text: 'odd' });
  });
});
