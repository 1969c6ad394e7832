import { describe, expect, it } from 'vitest';
import { type Framed, StreamFramer } from '../../../src/sip/embedded/stream-framer.ts';
import { cpuMs } from '../../support/cpu-time.ts';

const message = (body = '', length: number | string = Buffer.byteLength(body), name = 'Content-Length'): string =>
  `OPTIONS sip:a@b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n${name}: ${length}\r\n\r\n${body}`;

function drain(framer: StreamFramer): string[] {
  const found: string[] = [];
  for (let framed: Framed | undefined = framer.next(); framed; framed = framer.next()) {
    if (framed.type === 'message') found.push(framed.bytes.toString());
    else found.push(framed.type === 'fault' ? `fault ${framed.fault.status} ${framed.fault.reason}` : framed.type);
  }
  return found;
}

function frame(...chunks: string[]): string[] {
  const framer = new StreamFramer();
  return chunks.flatMap((chunk) => {
    framer.push(Buffer.from(chunk, 'latin1'));
    return drain(framer);
  });
}

describe('a stream of messages', () => {
  it('is cut by Content-Length, wherever the chunks end', () => {
    const stream = `\r\n${message('one')}${message()}\r\n\r\n\r\n${message('three', '\r\n  5 ', 'l')}`;
    const whole = frame(stream);
    expect(whole).toEqual([message('one'), message(), 'ping', message('three', '\r\n  5 ', 'l')]);
    for (let at = 1; at < stream.length; at += 1) expect(frame(stream.slice(0, at), stream.slice(at))).toEqual(whole);
    expect(frame(...stream)).toEqual(whole);
  });

  it('keeps the body of a message that was read when more arrives', () => {
    const framer = new StreamFramer();
    framer.push(Buffer.from(message('abc').slice(0, 20)));
    framer.push(Buffer.from(`${message('abc').slice(20)}OPT`));
    const first = framer.next();
    framer.push(Buffer.from('IONS sip:x@y SIP/2.0\r\n'.repeat(1000)));
    expect(first?.type === 'message' && first.bytes.toString()).toBe(message('abc'));
  });

  it('ends where no boundary can be found', () => {
    for (const length of ['2147483648', '65536', '99999999999']) {
      expect(frame(message('', length))[0]).toMatch(/^fault (513|400)/);
    }
    expect(frame(message('', 65_400))).toEqual([]); // waits for it
    for (const length of ['-1', '1 2', 'x', '', '1, 1']) {
      expect([length, frame(message('', length).replace('1 2', '1,2'))[0]]).toEqual([
        length,
        length === '1 2' ? 'fault 400 Bad Content-Length' : expect.stringMatching(/^fault 400/),
      ]);
    }
    expect(frame('OPTIONS sip:a@b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n')).toEqual(['fault 400 Bad Content-Length']);
    expect(frame('OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\nContent-Length: 0\r\n\r\n')).toEqual(['fault 400 Bad Content-Length']);
    expect(frame('\x16\x03\x01\x02\x00\x01')).toEqual(['fault 400 Bad message']);
    expect(frame('\rOPTIONS')).toEqual(['fault 400 Bad message']);
    expect(frame('A'.repeat(65_536))).toEqual(['fault 513 Message Too Large']);
    expect(frame('\x16', message())).toEqual(['fault 400 Bad message']); // and reads nothing more
  });

  it('says whether a message has begun', () => {
    const framer = new StreamFramer();
    expect(framer.partial).toBe(false);
    framer.push(Buffer.from('\r\n'));
    expect([drain(framer), framer.partial]).toEqual([[], false]);
    framer.push(Buffer.from('O'));
    expect([drain(framer), framer.partial]).toEqual([[], true]);
    framer.push(Buffer.from(message().slice(1)));
    expect([drain(framer), framer.partial]).toEqual([[message()], false]);
  });

  it('finds the end of a head that comes a byte at a time without searching it all again', () => {
    const framer = new StreamFramer();
    const head = Buffer.from(`OPTIONS sip:a@b SIP/2.0\r\n${'X-Long: y\r\n'.repeat(5900)}`);
    const start = cpuMs();
    for (const byte of head) {
      framer.push(Buffer.from([byte]));
      framer.next();
    }
    expect(framer.partial).toBe(true);
    expect(cpuMs() - start).toBeLessThan(1500); // 65,000 chunks; searching anew each time takes minutes
  });
});
