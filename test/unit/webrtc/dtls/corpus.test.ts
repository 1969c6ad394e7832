import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseFragments } from '../../../../src/webrtc/dtls/handshake-message.ts';
import { parseClientHello, parseServerHello } from '../../../../src/webrtc/dtls/hello.ts';
import { parseCertificate, parseCertificateRequest, parseServerKeyExchange } from '../../../../src/webrtc/dtls/messages.ts';
import { plainRecord } from '../../../support/dtls-forgery.ts';
import { DtlsPair, type Side } from '../../../support/dtls-pair.ts';
import { describeWithTestData, testDataPath } from '../../../support/test-data.ts';

/** The file as it is, as a record's content, and as the body of handshake messages. */
function shapesOf(bytes: Buffer): Buffer[] {
  return [bytes, plainRecord(22, bytes), plainRecord(22, bytes, 0, 1), plainRecord(21, bytes)];
}

describeWithTestData('outside DTLS samples', () => {
  const files = () =>
    readdirSync(testDataPath('corpora', 'dtls')).map((name) => ({
      name,
      bytes: readFileSync(join(testDataPath('corpora', 'dtls'), name)),
    }));

  it('never throw in any parser', () => {
    for (const { bytes } of files()) {
      for (const parse of [
        parseFragments,
        parseClientHello,
        parseServerHello,
        parseCertificate,
        parseCertificateRequest,
        parseServerKeyExchange,
      ]) {
        expect(() => parse(bytes)).not.toThrow();
      }
    }
  });

  it.each(['client', 'server'] as const)('neither stop a handshake nor a call at the %s', (side: Side) => {
    const samples = files();
    expect(samples.length).toBeGreaterThan(100);
    for (const { name, bytes } of samples) {
      const pair = new DtlsPair();
      for (const shape of shapesOf(bytes)) pair.inject(side, shape);
      pair.start();
      for (let ms = 0; ms < 50; ms += 10) {
        for (const shape of shapesOf(bytes)) pair.inject(side, shape);
        pair.clock.advance(10);
      }
      pair.clock.advance(3000);
      expect(pair.areConnected, name).toBe(true);
      for (const shape of shapesOf(bytes)) pair.inject(side, shape);
      expect(pair.areConnected, name).toBe(true);
    }
  });
});
