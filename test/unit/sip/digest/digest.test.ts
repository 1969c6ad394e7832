import { describe, expect, it } from 'vitest';
import { DigestClient, parseChallenge } from '../../../../src/sip/digest/digest-client.ts';
import { digestResponse } from '../../../../src/sip/digest/digest-hash.ts';
import { parseDigest } from '../../../../src/sip/digest/digest-parameters.ts';
import { DigestServer } from '../../../../src/sip/digest/digest-server.ts';
import { Nonces } from '../../../../src/sip/digest/nonces.ts';
import { cpuMs } from '../../../support/cpu-time.ts';

const RFC7616 = {
  username: 'Mufasa',
  realm: 'http-auth@example.org',
  password: 'Circle of Life',
  method: 'GET',
  uri: '/dir/index.html',
  nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
  auth: { cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ', nc: '00000001' },
};

describe('the digest response', () => {
  it('is the one of RFC 7616 §3.9.1 for MD5 and for SHA-256', () => {
    expect(digestResponse({ ...RFC7616, algorithm: 'MD5' })).toBe('8ca523f5e9506fed4657c9700eebdbec');
    expect(digestResponse({ ...RFC7616, algorithm: 'SHA-256' })).toBe('753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
  });

  it('is the one of RFC 2617 §3.5', () => {
    const input = {
      username: 'Mufasa',
      realm: 'testrealm@host.com',
      password: 'Circle Of Life',
      method: 'GET',
      uri: '/dir/index.html',
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
    };
    expect(digestResponse({ ...input, algorithm: 'MD5', auth: { cnonce: '0a4f113b', nc: '00000001' } })).toBe(
      '6629fae49393a05397450978507c4ef1',
    );
    expect(digestResponse({ ...input, algorithm: 'MD5' })).toBe('670fd8c2df070c60b045671b8b24ff02');
  });

  it('of a session algorithm depends on the cnonce twice', () => {
    const one = digestResponse({ ...RFC7616, algorithm: 'MD5-sess' });
    expect(one).not.toBe(digestResponse({ ...RFC7616, algorithm: 'MD5' }));
    expect(digestResponse({ ...RFC7616, algorithm: 'SHA-256-sess' })).toHaveLength(64);
  });
});

describe('challenges', () => {
  it('are read with quotes, blanks and commas inside quotes', () => {
    expect(parseChallenge('Digest realm="a, \\"b\\"", nonce = "n,1" ,algorithm=sha-256,qop="auth,auth-int",opaque="o",stale=TRUE')).toEqual(
      {
        realm: 'a, \\"b\\"',
        nonce: 'n,1',
        algorithm: 'SHA-256',
        auth: true,
        opaque: 'o',
        stale: true,
      },
    );
    expect(parseChallenge('Digest realm="r",nonce="n"')).toMatchObject({ algorithm: 'MD5', auth: false, stale: false });
  });

  it.each([
    'Basic realm="r"',
    'Digest',
    'Digest realm="r"',
    'Digest nonce="n"',
    'Digest realm="r", realm="s", nonce="n"',
    'Digest realm="r, nonce="n"',
    'Digest realm="r", nonce="n", algorithm=AKAv1-MD5',
    'Digest realm="r", nonce="n", qop="auth-int"',
    'Digest realm="r", nonce="n", algorithm=MD5-sess',
    `Digest realm="${'x'.repeat(5000)}", nonce="n"`,
  ])('that cannot be answered are left: %s', (value) => {
    expect(parseChallenge(value)).toBeUndefined();
  });

  it('are read in linear time', () => {
    const began = cpuMs();
    for (let n = 0; n < 100; n++) parseDigest(`Digest realm="${'\\'.repeat(4000)}`);
    expect(cpuMs() - began).toBeLessThan(500);
  });
});

const REQUEST = { method: 'INVITE', uri: 'sip:+15550001@192.0.2.9' };
const challenge = (more: string, realm = 'trunk') => `Digest realm="${realm}", ${more}, qop="auth"`;

describe('a client', () => {
  const client = (realm?: string) => new DigestClient({ username: 'u', password: 'p', ...(realm ? { realm } : {}) }, () => 'c');

  it('takes the strongest algorithm wherever it stands', () => {
    const one = client();
    expect(one.challenged([challenge('nonce="1", algorithm=MD5'), challenge('nonce="2", algorithm=SHA-256')])).toBe(true);
    expect(one.authorize(REQUEST)).toEqual([
      `Digest username="u", realm="trunk", nonce="2", uri="${REQUEST.uri}", response="${digestResponse({
        algorithm: 'SHA-256',
        username: 'u',
        realm: 'trunk',
        password: 'p',
        ...REQUEST,
        nonce: '2',
        auth: { cnonce: 'c', nc: '00000001' },
      })}", algorithm=SHA-256, cnonce="c", qop=auth, nc=00000001`,
    ]);
    expect(one.authorize(REQUEST)[0]).toContain('nc=00000002');
  });

  it('tries a nonce once, takes a stale one once more, and then gives up', () => {
    const one = client();
    expect(one.challenged([challenge('nonce="1"')])).toBe(true);
    one.authorize(REQUEST);
    expect(one.challenged([challenge('nonce="1"')])).toBe(false);
    expect(one.challenged([challenge('nonce="2"')])).toBe(false);
    expect(one.challenged([challenge('nonce="3", stale=true')])).toBe(true);
    one.authorize(REQUEST);
    expect(one.challenged([challenge('nonce="4", stale=true')])).toBe(false);
    one.accepted();
    expect(one.challenged([challenge('nonce="5", stale=true')])).toBe(true);
  });

  it('answers a proxy and the agent behind it, and no third realm', () => {
    const one = client();
    expect(one.challenged([challenge('nonce="1"', 'a')])).toBe(true);
    expect(one.challenged([challenge('nonce="1"', 'b')])).toBe(true);
    expect(one.challenged([challenge('nonce="1"', 'c')])).toBe(false);
    expect(one.authorize(REQUEST)).toHaveLength(2);
  });

  it('with a configured realm answers no other', () => {
    const one = client('mine');
    expect(one.challenged([challenge('nonce="1"', 'theirs')])).toBe(false);
    expect(one.challenged([challenge('nonce="1"', 'mine')])).toBe(true);
  });
});

describe('a server', () => {
  const NOW = 1_700_000_000_000;
  const server = (more = {}) =>
    new DigestServer({ realm: 'ringdown', passwordOf: (name) => (name === 'jürgen' ? 'pass' : undefined), ...more });
  const login = (username = 'jürgen', password = 'pass') => new DigestClient({ username, password });

  it('asks for SHA-256 first and MD5 second, with one nonce', () => {
    const values = server().challenges(NOW, '192.0.2.1', false);
    expect(values.map((each) => parseChallenge(each)?.algorithm)).toEqual(['SHA-256', 'MD5']);
    expect(new Set(values.map((each) => parseChallenge(each)?.nonce)).size).toBe(1);
  });

  it.each([0, 1])('takes the right password by either algorithm (%i)', (which) => {
    const one = server();
    const client = login();
    const asked = one.challenges(NOW, '192.0.2.1', false);
    client.challenged([asked[which] ?? '']);
    expect(one.verify(NOW, '192.0.2.1', client.authorize(REQUEST), REQUEST)).toEqual({ type: 'ok', username: 'jürgen' });
  });

  it('takes no request twice, and says that the nonce is stale', () => {
    const one = server();
    const client = login();
    client.challenged(one.challenges(NOW, '192.0.2.1', false));
    const first = client.authorize(REQUEST);
    const second = client.authorize(REQUEST);
    expect(one.verify(NOW, '192.0.2.1', second, REQUEST).type).toBe('ok');
    expect(one.verify(NOW, '192.0.2.1', second, REQUEST)).toEqual({ type: 'challenge', stale: true, guessed: false });
    expect(one.verify(NOW, '192.0.2.1', first, REQUEST)).toEqual({ type: 'challenge', stale: true, guessed: false });
    expect(one.verify(NOW, '192.0.2.1', client.authorize(REQUEST), REQUEST).type).toBe('ok');
  });

  it('wants a new nonce after its life, and none of another peer', () => {
    const one = server();
    const client = login();
    client.challenged(one.challenges(NOW, '192.0.2.1', false));
    expect(one.verify(NOW + 300_000, '192.0.2.1', client.authorize(REQUEST), REQUEST).type).toBe('ok');
    expect(one.verify(NOW + 300_001, '192.0.2.1', client.authorize(REQUEST), REQUEST)).toEqual({
      type: 'challenge',
      stale: true,
      guessed: false,
    });
    expect(one.verify(NOW, '192.0.2.2', client.authorize(REQUEST), REQUEST)).toEqual({ type: 'challenge', stale: false, guessed: false });
  });

  it('refuses a wrong password, an unknown user, another method, another URI and foreign nonces', () => {
    const one = server();
    const attempt = (client: DigestClient, request = REQUEST): unknown => {
      client.challenged(one.challenges(NOW, '192.0.2.1', false));
      return one.verify(NOW, '192.0.2.1', client.authorize(REQUEST), request);
    };
    const refused = { type: 'challenge', stale: false, guessed: false };
    const guessed = { ...refused, guessed: true };
    expect(attempt(login('jürgen', 'wrong'))).toEqual(guessed);
    expect(attempt(login('nobody'))).toEqual(guessed);
    expect(attempt(login(), { ...REQUEST, method: 'BYE' })).toEqual(guessed);
    expect(attempt(login(), { ...REQUEST, uri: 'sip:+882@192.0.2.9' })).toEqual(refused);
    const stranger = login();
    stranger.challenged([challenge('nonce="AAAA", algorithm=SHA-256', 'ringdown')]);
    expect(one.verify(NOW, '192.0.2.1', stranger.authorize(REQUEST), REQUEST)).toEqual(refused);
    expect(one.verify(NOW, '192.0.2.1', ['Digest', '', 'Basic x', 'Digest username="'], REQUEST)).toEqual(refused);
  });

  it('wants a count: credentials of RFC 2069 could be sent again by anybody', () => {
    const one = server();
    const nonce = parseChallenge(one.challenges(NOW, '192.0.2.1', false)[0] ?? '')?.nonce ?? '';
    const client = login();
    client.challenged([`Digest realm="ringdown", nonce="${nonce}"`]);
    expect(one.verify(NOW, '192.0.2.1', client.authorize(REQUEST), REQUEST)).toEqual({ type: 'challenge', stale: false, guessed: false });
  });

  it('keeps a bounded number of counts, and forgetting one lets nobody in again', () => {
    const nonces = new Nonces({ secret: Buffer.alloc(32), lifetimeMs: 300_000, maxTracked: 3 });
    const used = Array.from({ length: 5 }, (_, n) => nonces.issue(NOW + n, 'a'));
    for (const nonce of used) nonces.use('a', nonce, 1);
    expect(nonces.tracked).toBe(3);
    expect(used.map((nonce) => nonces.check(NOW + 10, 'a', nonce, 2))).toEqual(['stale', 'stale', 'fresh', 'fresh', 'fresh']);
  });
});
