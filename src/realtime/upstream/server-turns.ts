import type { ModelConfig, ModelEvent } from '../model.ts';
import type { UpstreamProfile } from './profile.ts';
import { idOf, numberOf, type ServerEvent } from './server-event.ts';
import type { TurnDetectionFields } from './session-shape.ts';
import type { StreamUplink } from './stream-uplink.ts';

/** What every server of this kind knows. */
const PLAIN = { type: 'server_vad' } as const;

/** How the server shall take turns; null: the session commits them by hand. */
export function detectionOf({ turnDetection = PLAIN }: ModelConfig, { supports }: UpstreamProfile): TurnDetectionFields {
  if (turnDetection?.['type'] !== 'semantic_vad' || supports.semanticVad) return turnDetection;
  const { create_response, interrupt_response } = turnDetection;
  return { ...PLAIN, create_response, interrupt_response };
}

/** Turns as a server takes them: what it says of them, in the time of the call. */
export class ServerTurns {
  readonly #uplink: StreamUplink;
  readonly #emit: (event: ModelEvent) => void;
  /** The item of the turn that the server ended last, and that the session has not named. */
  #endedId: string | undefined;

  constructor(uplink: StreamUplink, emit: (event: ModelEvent) => void) {
    this.#uplink = uplink;
    this.#emit = emit;
  }

  /** False when the event is not about turns. */
  handle({ type, fields }: ServerEvent): boolean {
    if (type === 'input_audio_buffer.speech_started') {
      this.#endedId = undefined;
      this.#emit({ type: 'caller_started', startMs: this.#uplink.toCallMs(numberOf(fields, 'audio_start_ms') ?? Number.MAX_SAFE_INTEGER) });
      return true;
    }
    if (type !== 'input_audio_buffer.speech_stopped') return false;
    this.#endedId = idOf(fields, 'item_id');
    this.#emit({ type: 'caller_ended', endMs: this.#uplink.toCallMs(numberOf(fields, 'audio_end_ms') ?? Number.MAX_SAFE_INTEGER) });
    return true;
  }

  /** The server's name of the turn that it ended last; undefined: it has not said so, or it was asked before. */
  takeEndedId(): string | undefined {
    const id = this.#endedId;
    this.#endedId = undefined;
    return id;
  }
}
