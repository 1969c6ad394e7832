import { describe, expect, test } from 'vitest';
import { type Caller, distrust } from '../../../src/control/trust.ts';

function caller(headers: Record<string, string> = {}, rest: Partial<Caller> = {}): Caller {
  return { peer: '127.0.0.1', httpVersion: '1.1', hosts: 1, ...rest, headers: { host: '127.0.0.1:8080', ...headers } };
}

describe('a request without a key', () => {
  test.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])('is trusted from %s', (peer) => {
    expect(distrust(caller({}, { peer }))).toBeUndefined();
  });

  test.each(['127.0.0.1', 'localhost', 'LOCALHOST:9', '[::1]:8080', '[::1]', '127.0.0.1:1'])('is trusted for Host %s', (host) => {
    expect(distrust(caller({ host }))).toBeUndefined();
  });

  test('is not trusted with two Hosts, of which another program may read the other one', () => {
    expect(distrust(caller({}, { hosts: 2 }))).toContain('several');
  });

  test.each(['192.0.2.1', '10.0.0.1', '::ffff:192.0.2.1', '2001:db8::1', ''])('is not trusted from %s', (peer) => {
    expect(distrust(caller({}, { peer }))).toContain('another machine');
  });

  test.each([
    '',
    'example.org',
    '127.0.0.1.example.org',
    'localhost.example.org:8080',
    '[2001:db8::1]',
    'localhost@evil',
    '127.0.0.1:8080/x',
    '2130706433',
  ])('is not trusted for Host "%s"', (host) => {
    expect(distrust(caller({ host }))).toContain('Host');
  });

  test('is not trusted without a Host or with HTTP/1.0, as old proxies send it', () => {
    expect(distrust({ peer: '127.0.0.1', httpVersion: '1.1', headers: {}, hosts: 0 })).toContain('Host');
    expect(distrust(caller({}, { httpVersion: '1.0' }))).toContain('HTTP/1.1');
  });

  test('is trusted from our own page only', () => {
    expect(distrust(caller({ origin: 'http://127.0.0.1:8080' }))).toBeUndefined();
    for (const origin of ['http://127.0.0.1:9090', 'https://127.0.0.1:8080', 'null', 'https://example.org', 'http://localhost:8080']) {
      expect(distrust(caller({ origin })), origin).toContain('Origin');
    }
  });

  test('is trusted from our own page over TLS by its https origin, and by no other', () => {
    expect(distrust(caller({ origin: 'https://127.0.0.1:8080' }, { encrypted: true }))).toBeUndefined();
    for (const origin of ['http://127.0.0.1:8080', 'https://127.0.0.1:9090', 'https://127.0.0.1', 'null']) {
      expect(distrust(caller({ origin }, { encrypted: true })), origin).toContain('Origin');
    }
  });

  test('is not trusted from an image or frame of another site', () => {
    expect(distrust(caller({ 'sec-fetch-site': 'none' }))).toBeUndefined();
    expect(distrust(caller({ 'sec-fetch-site': 'same-origin' }))).toBeUndefined();
    for (const site of ['cross-site', 'same-site']) expect(distrust(caller({ 'sec-fetch-site': site }))).toContain('another site');
  });

  test.each(['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded', 'x-real-ip', 'via'])(
    'is not trusted with %s',
    (name) => {
      expect(distrust(caller({ [name]: '127.0.0.1' }))).toContain('proxy');
    },
  );
});
