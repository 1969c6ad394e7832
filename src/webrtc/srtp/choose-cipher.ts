import { CounterModeCipher } from './counter-mode.ts';
import { GcmCipher } from './gcm.ts';
import type { PacketCipher } from './packet-cipher.ts';
import type { SrtpMaster } from './profile.ts';
import { deriveDirectionKeys } from './session-keys.ts';

export function choosePacketCipher(master: SrtpMaster): PacketCipher {
  const keys = deriveDirectionKeys(master);
  return master.profile === 'AEAD_AES_128_GCM' ? new GcmCipher(keys) : new CounterModeCipher(keys);
}
