import { describe, expect, it } from 'vitest';
import { CallRefused, failureOf, insecurePage, NoMediaPath } from '../../../web/failures.ts';

const named = (name: string) => Object.assign(new Error('as the browser says it'), { name });

describe('what the page says when there is no call', () => {
  it('offers the https address where the microphone is kept back', () => {
    const failure = insecurePage({ isSecure: false, hasDevices: false, host: '192.0.2.1:8080' });
    expect(failure?.action).toEqual({ type: 'link', label: 'https://192.0.2.1:8080/', href: 'https://192.0.2.1:8080/' });
    expect(insecurePage({ isSecure: true, hasDevices: true, host: 'localhost' })).toBeUndefined();
  });

  it.each([
    ['NotAllowedError', 'The microphone is blocked', 'listen'],
    ['NotFoundError', 'No microphone was found', 'listen'],
    ['NotReadableError', 'The microphone is in use', 'listen'],
  ])('knows %s', (name, title, action) => {
    const failure = failureOf(named(name));
    expect([failure.title, failure.action?.type]).toEqual([title, action]);
  });

  it('asks for a key when the gateway does', () => {
    const failure = failureOf(new CallRefused(401, 'set a key under projects:'));
    expect(failure).toMatchObject({ text: 'set a key under projects:', action: { type: 'key' } });
  });

  it('says when to try again, that nobody answers, and that no packet came through', () => {
    expect(failureOf(new CallRefused(503, 'All sessions are taken.', 5)).text).toBe('All sessions are taken. Try again in 5 s.');
    expect(failureOf(new TypeError('Failed to fetch')).title).toBe('The gateway does not answer');
    expect(failureOf(new NoMediaPath('failed')).title).toBe('No way for the audio');
    expect(failureOf('odd')).toEqual({ title: 'The call failed', text: 'odd' });
  });
});
