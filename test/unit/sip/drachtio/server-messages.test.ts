import { describe, expect, test } from 'vitest';
import { inwardRequest, inwardResponse, outward, serverGoodbye } from '../../../../src/sip/drachtio/server-messages.ts';
import { parseMessage } from '../../../../src/sip/embedded/message.ts';

function message(...lines: readonly string[]): string {
  return [...lines, '', ''].join('\r\n');
}

function read(text: string): NonNullable<ReturnType<typeof parseMessage>> {
  const parsed = parseMessage(Buffer.from(text));
  if (!parsed) throw new Error('no message');
  return parsed;
}

describe('messages on their way to and from a drachtio server', () => {
  test("what is the server's to say is left out, and two challenges stay two", () => {
    const refusal = read(
      message(
        'SIP/2.0 401 Unauthorized',
        'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1',
        'From: <sip:a@b>;tag=1',
        'To: <sip:c@d>;tag=2',
        'Call-ID: x',
        'CSeq: 1 INVITE',
        'Contact: <sip:us@10.0.0.1>',
        'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256',
        'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5',
        'Content-Length: 0',
      ),
    );
    const { headers, body } = outward(refusal, false);
    expect(Object.keys(headers)).toEqual(['WWW-Authenticate']);
    expect(headers['WWW-Authenticate']?.split('\r\n')).toEqual([
      'Digest realm="r", nonce="n", algorithm=SHA-256',
      'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5',
    ]);
    expect(body).toBeUndefined();
  });

  test('a response comes back to the request as we wrote it', () => {
    const raw = message(
      'SIP/2.0 200 OK',
      'Via: SIP/2.0/UDP server;branch=z9hG4bKserver',
      'From: <sip:a@b>;tag=1',
      'To: <sip:c@d>;tag=2',
      'Call-ID: x',
      'CSeq: 77 INVITE',
    );
    const response = inwardResponse(raw, { via: 'SIP/2.0/TCP us;branch=z9hG4bKus', cseq: '2 INVITE' });
    expect(response?.headers.all('via')).toEqual(['SIP/2.0/TCP us;branch=z9hG4bKus']);
    expect(response?.headers.first('cseq')).toBe('2 INVITE');
    expect(response?.headers.first('to')).toBe('<sip:c@d>;tag=2');
    expect(inwardResponse('nonsense', { via: '', cseq: '' })).toBeUndefined();
    expect(inwardResponse(undefined, { via: '', cseq: '' })).toBeUndefined();
  });

  test('the server refreshes sessions, so nobody here is asked to', () => {
    const raw = message(
      'INVITE sip:a@b SIP/2.0',
      'Via: SIP/2.0/UDP p;branch=z9hG4bKp',
      'Session-Expires: 90;refresher=uas',
      'Min-SE: 90',
      'X-Kept: yes',
    );
    const request = inwardRequest(raw);
    expect(request?.headers.first('session-expires')).toBeUndefined();
    expect(request?.headers.first('x-kept')).toBe('yes');
  });

  test('a BYE of the server for us looks as if the peer had sent it', () => {
    const raw = message(
      'BYE sip:peer@p SIP/2.0',
      'Via: SIP/2.0/UDP s;branch=z9hG4bKs',
      'From: <sip:us@s>;tag=ours',
      'To: <sip:peer@p>;tag=theirs',
      'Call-ID: x',
      'CSeq: 3 BYE',
    );
    const bye = serverGoodbye(raw);
    expect(bye?.headers.first('from')).toContain('tag=theirs');
    expect(bye?.headers.first('to')).toContain('tag=ours');
    expect(serverGoodbye(raw.replaceAll('BYE', 'INFO'))).toBeUndefined();
  });
});
