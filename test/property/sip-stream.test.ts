import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamFramer } from '../../src/sip/embedded/stream-framer.ts';

const message = fc
  .tuple(fc.constantFrom('Content-Length', 'l', 'CONTENT-LENGTH'), fc.string({ unit: 'binary', maxLength: 300 }))
  .map(([name, text]) => {
    const body = Buffer.from(text);
    return Buffer.concat([Buffer.from(`MESSAGE sip:a@b SIP/2.0\r\n${name} : ${body.length}\r\n\r\n`), body]);
  });

function cut(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((each) => each % (stream.length + 1)).sort((a, b) => a - b), stream.length];
  return at.slice(1).map((end, index) => stream.subarray(at[index], end));
}

it('finds the same messages wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
      const framer = new StreamFramer();
      const found: Buffer[] = [];
      for (const chunk of cut(Buffer.concat(messages), cuts)) {
        framer.push(chunk);
        for (let framed = framer.next(); framed; framed = framer.next())
          if (framed.type === 'message') found.push(Buffer.from(framed.bytes));
      }
      expect(found.map((each) => each.toString('hex'))).toEqual(messages.map((each) => each.toString('hex')));
      expect(framer.partial).toBe(false);
    }),
  );
});

it('never throws, and reads nothing after a fault', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom('\r\n', '\r\n\r\n', '\r', 'Content-Length: 5', 'l: 99999999999', 'OPTIONS sip:a SIP/2.0', '\r\n 3', ':')
      .map((text) => Buffer.from(text)),
    message,
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const framer = new StreamFramer();
      let broken = false;
      for (const each of pieces) {
        framer.push(each);
        for (let framed = framer.next(); framed; framed = framer.next()) {
          expect(broken).toBe(false);
          broken = framed.type === 'fault';
        }
      }
    }),
  );
});
