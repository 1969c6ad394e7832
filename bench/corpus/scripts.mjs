/*
 * What callers say. A turn is pieces with pauses between them: `/` inside a clause, `|` between clauses, `#` between dictated groups.
 * No punctuation ends a turn: transcripts that have it have decided already.
 */

export const TURNS = [
  { ask: 'How can I help you today?', say: 'I would like to / change my booking | because my flight was cancelled' },
  { ask: 'How can I help you today?', say: 'my router keeps / losing the connection' },
  { ask: 'What is your phone number?', say: 'oh three oh # five five five # one two three four' },
  { ask: 'What is your account number?', say: 'it is four seven # one one # eight nine two' },
  { ask: 'Is that correct?', say: 'yes that is correct' },
  { ask: 'Is that correct?', say: 'no | it should be / the nineteenth of May' },
  { ask: 'Would you like the morning or the afternoon?', say: 'the afternoon please' },
  { ask: 'Can you describe the problem?', say: 'well / the screen goes dark | and then / it starts again by itself' },
  { ask: 'Anything else I can do for you?', say: 'could you also send me / a copy of the invoice' },
  { ask: 'Anything else I can do for you?', say: 'no thank you | that is all' },
  { ask: 'When did it begin?', say: 'let me think | it was about / two weeks ago' },
  { ask: 'What is the delivery address?', say: 'number twelve / Garden Street | in the old town' },
  { ask: 'How can I help you today?', say: 'what time do you open / on Saturday' },
  { ask: 'Who am I speaking with?', say: 'this is Maria / from the second floor' },
  { ask: 'How can I help you today?', say: 'I ordered a lamp | but the box was empty | and nobody answers / my letters' },
  { ask: 'Do you have your card at hand?', say: 'one moment | yes I have it here' },
];

/** What the agent says, and may be interrupted in. */
export const ANSWERS = [
  'Thank you for calling. I can look that up for you right away, and tell you what has happened to your order since last week.',
  'The next train leaves at a quarter past four from platform seven, and it stops at every station until it reaches the coast.',
  'I have found your booking. It is for two people, arriving on the nineteenth of May, and breakfast is included in the price.',
  'To reset the device, please hold the small button on the back for about ten seconds, and then wait until the light turns green.',
  'Your parcel was handed over yesterday in the afternoon, and the driver has left a note that it is with your neighbour.',
  'We are open every day from nine in the morning until six in the evening, except on Sundays and on public holidays.',
];

export const BACKCHANNELS = ['uh huh', 'mm hmm', 'yeah', 'okay', 'right', 'I see', 'got it', 'sure', 'oh okay', 'yeah yeah'];
export const COMMANDS = ['stop', 'wait', 'no', 'hold on', 'hello'];
/** What comes before the breath of somebody who interrupts. */
export const HESITATIONS = ['no', 'but', 'sorry', 'wait a moment', 'can I just', 'well actually', 'okay but what about the'];
export const INTERRUPTIONS = [
  'wait a moment that is not what I asked for',
  'sorry can I ask you something else first',
  'no no the booking was for three people',
  'actually I need to talk to somebody about the price',
  'excuse me could you repeat that more slowly',
];

/** Voices of espeak-ng, words a minute, pitch. */
export const VOICES = [
  ['en-us', 155, 45],
  ['en-gb', 170, 50],
  ['en-us+f2', 165, 60],
  ['en-gb+m3', 140, 35],
  ['en-us+f4', 180, 55],
  ['en-gb-scotland', 160, 40],
  ['en-us+m5', 150, 30],
  ['en-gb+f3', 150, 65],
];
