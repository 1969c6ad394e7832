/** What is done where a machine has answered a call that we placed. `leave_message`: the agent speaks after the beep. */
export type OnMachine = 'go_on' | 'hang_up' | 'leave_message';

/** Who answers is found out before anything else happens. */
export interface AmdOptions {
  readonly onMachine: OnMachine;
}

export type AnsweredBy = 'human' | 'machine_greeting' | 'machine_beep' | 'silence' | 'fax' | 'network' | 'unsure';

/** What was found out, and by what. Milliseconds count from the answer. */
export interface Answered {
  readonly by: AnsweredBy;
  readonly atMs: number;
  /** Of speech, pauses left out. */
  readonly speechMs: number;
  readonly words: number;
  /** Before the first word. */
  readonly silenceMs: number;
  readonly beep?: { readonly hz: number; readonly ms: number };
  /** Only after `machine_greeting`: the greeting is over, and there was no beep. */
  readonly greetingOver?: boolean;
}
