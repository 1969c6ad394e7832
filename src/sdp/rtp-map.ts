import { attributeOf, attributesOf, type MediaDescription } from './description.ts';

/** A codec of a media section: one format with its rtpmap, or the static one of RFC 3551. */
export interface MappedCodec {
  readonly payloadType: number;
  /** In upper case. */
  readonly name: string;
  readonly clockRateHz: number;
  readonly channels: number;
}

/** Payload types that need no rtpmap (RFC 3551 §6): those of them that the gateway could speak. */
const STATIC: readonly MappedCodec[] = [
  { payloadType: 0, name: 'PCMU', clockRateHz: 8000, channels: 1 },
  { payloadType: 8, name: 'PCMA', clockRateHz: 8000, channels: 1 },
  { payloadType: 9, name: 'G722', clockRateHz: 8000, channels: 1 },
  { payloadType: 13, name: 'CN', clockRateHz: 8000, channels: 1 },
];

/** The codecs of a section in the order in which it prefers them. Formats without a usable rtpmap are left out. */
export function codecsOf(media: MediaDescription): readonly MappedCodec[] {
  const mapped = new Map<number, MappedCodec>();
  for (const value of attributesOf(media, 'rtpmap')) {
    const match = /^(\d{1,3}) +([^/ ]+)\/(\d{1,6})(?:\/(\d{1,2}))?$/.exec(value.trim());
    if (!match) continue;
    const payloadType = Number(match[1]);
    // The first one counts: a second map for the same number is a mistake or a trick.
    if (mapped.has(payloadType)) continue;
    mapped.set(payloadType, {
      payloadType,
      name: (match[2] as string).toUpperCase(),
      clockRateHz: Number(match[3]),
      channels: Number(match[4] ?? 1),
    });
  }
  return media.formats.flatMap((format) => {
    if (!/^\d{1,3}$/.test(format) || Number(format) > 127) return [];
    const payloadType = Number(format);
    const codec = mapped.get(payloadType) ?? STATIC.find((each) => each.payloadType === payloadType);
    return codec ? [codec] : [];
  });
}

/** The milliseconds of audio per packet a section asks for (a=ptime), when it is a sensible number. */
export function packetTimeOf(media: MediaDescription): number | undefined {
  return millisecondsOf(media, 'ptime');
}

/** The most milliseconds of audio a section bears in a packet (a=maxptime), when it is a sensible number. */
export function maxPacketTimeOf(media: MediaDescription): number | undefined {
  return millisecondsOf(media, 'maxptime');
}

function millisecondsOf(media: MediaDescription, name: string): number | undefined {
  const milliseconds = Number(attributeOf(media, name) || Number.NaN);
  return milliseconds >= 5 && milliseconds <= 200 ? Math.round(milliseconds) : undefined;
}
