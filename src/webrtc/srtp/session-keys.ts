import { createCipheriv } from 'node:crypto';
import { SRTP_PROFILES, type SrtpMaster } from './profile.ts';

/** The keys that one direction of RTP, or of RTCP, is protected with. */
export interface SessionKeys {
  readonly encryption: Buffer;
  /** Empty for an AEAD profile, which authenticates with its encryption key. */
  readonly authentication: Buffer;
  readonly salt: Buffer;
}

/** Both sets of one direction. */
export interface DirectionKeys {
  readonly rtp: SessionKeys;
  readonly rtcp: SessionKeys;
}

export function deriveDirectionKeys(master: SrtpMaster): DirectionKeys {
  return { rtp: deriveSessionKeys(master, 'rtp'), rtcp: deriveSessionKeys(master, 'rtcp') };
}

/** RFC 3711 §4.3.2: the label of RTP's encryption key; authentication and salt follow, then the same three for RTCP. */
const FIRST_LABEL = { rtp: 0, rtcp: 3 } as const;
/** HMAC-SHA1's key, RFC 3711 §5.2. */
const AUTHENTICATION_BYTES = 20;

/** RFC 3711 §4.3 with a key derivation rate of 0; RFC 7714 §11 uses the same function with a 96-bit salt. */
function deriveSessionKeys(master: SrtpMaster, of: 'rtp' | 'rtcp'): SessionKeys {
  const shape = SRTP_PROFILES[master.profile];
  const label = FIRST_LABEL[of];
  const isAead = master.profile === 'AEAD_AES_128_GCM';
  return {
    encryption: derive(master, label, shape.keyBytes),
    authentication: isAead ? Buffer.alloc(0) : derive(master, label + 1, AUTHENTICATION_BYTES),
    salt: derive(master, label + 2, shape.saltBytes),
  };
}

function derive(master: SrtpMaster, label: number, bytes: number): Buffer {
  const counter = Buffer.alloc(16);
  counter.set(master.salt.subarray(0, 14));
  counter[7] = (counter[7] ?? 0) ^ label;
  return createCipheriv('aes-128-ctr', master.key, counter).update(Buffer.alloc(bytes));
}
