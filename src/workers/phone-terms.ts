import { z } from 'zod';
import { CRYPTO_SUITES } from '../sdp/sdes.ts';

/*
 * What was agreed below RTP, on its way from the front, which speaks SIP, to the worker, which has the sockets. The keys of descriptions go with it:
 * by the pipe between a parent and its child, which nobody else can read.
 */

const key = z.instanceof(Buffer);
const sdesKey = z.strictObject({ key, salt: key, mki: key.exactOptional() });

/** In hexadecimal the longest of them, SHA-512, has 191 characters. */
export const fingerprint = z.strictObject({ algorithm: z.string().max(16), value: z.string().max(191) });

/** RFC 8842 §4: 255 characters at the most. */
const tlsId = z.string().max(255);

const security = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('sdes'),
    tag: z.int().min(0),
    suite: z.enum(CRYPTO_SUITES),
    local: sdesKey,
    remote: sdesKey,
  }),
  z.strictObject({
    type: z.literal('dtls'),
    role: z.enum(['client', 'server']),
    remoteFingerprints: z.array(fingerprint).max(256).readonly(),
    remoteTlsId: tlsId.exactOptional(),
    localTlsId: tlsId.exactOptional(),
  }),
]);

/** RFC 8839 §5.4: 256 characters at the most. */
const credentials = z.strictObject({ ufrag: z.string().max(256), pwd: z.string().max(256) });

export const phoneTerms = {
  security: security.exactOptional(),
  rtcpMux: z.boolean().exactOptional(),
  ice: z.strictObject({ local: credentials, remote: credentials }).exactOptional(),
};

export const innerVoice = z.strictObject({
  maxPlaybackRateHz: z.int().min(1),
  fec: z.boolean().exactOptional(),
  maxAverageBitrate: z.int().min(1).exactOptional(),
  cbr: z.boolean().exactOptional(),
});
