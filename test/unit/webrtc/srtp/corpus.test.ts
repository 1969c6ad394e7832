import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SRTP_PROFILES, type SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts';
import { SrtpReceiver } from '../../../../src/webrtc/srtp/srtp-receiver.ts';
import { describeWithTestData, testDataPath } from '../../../support/test-data.ts';

describeWithTestData('outside SRTP samples', () => {
  it.each(Object.keys(SRTP_PROFILES) as SrtpProfile[])('are all dropped without a stir by %s', (profile) => {
    const receiver = new SrtpReceiver({ profile, key: randomBytes(16), salt: randomBytes(SRTP_PROFILES[profile].saltBytes) });
    let files = 0;
    for (const folder of ['srtp', 'rtp', 'rtcp']) {
      for (const name of readdirSync(testDataPath('corpora', folder))) {
        const bytes = readFileSync(join(testDataPath('corpora', folder), name));
        files += 1;
        expect(receiver.unprotectRtp(Buffer.from(bytes)), name).toBeUndefined();
        expect(receiver.unprotectRtcp(Buffer.from(bytes)), name).toBeUndefined();
      }
    }
    expect(files).toBeGreaterThan(150);
    expect(receiver.snapshot().streams).toBe(0);
  });
});
