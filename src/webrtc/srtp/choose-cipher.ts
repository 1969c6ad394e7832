import { CounterModeCipher } from './counter-mode.ts';
import { GcmCipher } from './gcm.ts';
import { SHA1_32_TAG_BYTES, SHA1_80_TAG_BYTES } from './hmac-sha1.ts';
import type { PacketCipher } from './packet-cipher.ts';
import type { SrtpMaster } from './profile.ts';
import { deriveDirectionKeys } from './session-keys.ts';

export function choosePacketCipher(master: SrtpMaster): PacketCipher {
  const keys = deriveDirectionKeys(master);
  if (master.profile === 'AEAD_AES_128_GCM') return new GcmCipher(keys);
  return new CounterModeCipher(keys, master.profile === 'AES128_CM_HMAC_SHA1_32' ? SHA1_32_TAG_BYTES : SHA1_80_TAG_BYTES);
}
