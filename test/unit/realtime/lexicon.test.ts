import { describe, expect, it } from 'vitest';
import { askedBy, asksForFloor, isAcknowledgement, pauseFactorOf } from '../../../src/realtime/caller-words.ts';
import { EndOfTurnWait } from '../../../src/realtime/end-of-turn.ts';
import type { Lexicon } from '../../../src/realtime/lexicon/lexicon.ts';
import { lexiconOf } from '../../../src/realtime/lexicon/of-language.ts';
import type { SessionConfig } from '../../../src/realtime/session-config.ts';
import { ConversationBench } from '../../support/conversation-bench.ts';

function known(language: string): Lexicon {
  const lexicon = lexiconOf(language);
  if (!lexicon) throw new Error(`no words of ${language}`);
  return lexicon;
}

describe('the words of a language', () => {
  it.each([
    ['de', 'Ich möchte einen', 1.9],
    ['de', 'Meine Buchung und', 1.9],
    ['de', 'ähm', 2.6],
    ['de', 'Moment bitte', 2.6],
    ['de', 'Lassen Sie mich nachsehen', 2.6],
    ['de', 'Gute Frage.', 2.6],
    ['de', 'weil ich das nicht habe', 0.9],
    ['de', 'rufen Sie mich bitte an', 0.9],
    ['de', 'wann haben Sie am Samstag offen', 0.75],
    ['de', 'Das war’s', 0.55],
    ['de', 'Vielen Dank.', 0.55],
    ['de', 'vier sieben eins', 1.9],
    ['de', 'null dreißig', 1.9],
    ['es', 'quisiera cambiar la reserva de', 1.9],
    ['es', 'pues', 2.6],
    ['es', 'A ver, un momento', 2.6],
    ['es', 'no sé quién es', 0.9],
    ['es', 'cuándo abren el próximo sábado', 0.75],
    ['es', 'eso es todo', 0.55],
    ['es', '¿A qué hora abren?', 0.55],
    ['es', 'cero tres cero', 1.9],
    ['fr', 'je voudrais changer ma', 1.9],
    ['fr', 'euh', 2.6],
    ['fr', 'Laissez-moi regarder', 2.6],
    ['fr', 'je n’en veux plus', 0.9],
    ['fr', 'est-ce que vous ouvrez le samedi', 0.75],
    ['fr', 's’il vous plaît', 0.55],
    ['fr', 'zéro six trente-quatre', 1.9],
  ])('%s: "%s" changes the wait by %f', (language, text, factor) => {
    expect(pauseFactorOf(text, undefined, known(language))).toBe(factor);
  });

  it.each([
    ['de', 'Ist das richtig?', { asked: 'yes_no' }],
    ['de', 'Möchten Sie vormittags oder nachmittags kommen?', { asked: 'choice' }],
    ['de', 'Wie lautet Ihre Telefonnummer?', { asked: 'digits' }],
    ['de', 'Nennen Sie bitte Ihr Geburtsdatum.', { asked: 'digits', digits: 8 }],
    ['de', 'Wie kann ich helfen?', { asked: 'open' }],
    ['de', 'Guten Tag.', { asked: 'nothing' }],
    ['es', '¿Es correcto?', { asked: 'yes_no' }],
    ['es', '¿Por la mañana o por la tarde?', { asked: 'choice' }],
    ['es', '¿Cuál es su número de tarjeta?', { asked: 'digits', digits: 16 }],
    ['es', '¿En qué puedo ayudarle?', { asked: 'open' }],
    ['fr', 'Est-ce que c’est bien ça ?', { asked: 'yes_no' }],
    ['fr', 'Le matin ou l’après-midi ?', { asked: 'choice' }],
    ['fr', 'Quel est votre numéro de téléphone ?', { asked: 'digits', digits: 10 }],
    ['fr', 'Que puis-je faire pour vous ?', { asked: 'open' }],
  ] as const)('%s: "%s" asks for something', (language, text, asked) => {
    expect(askedBy(text, known(language))).toEqual(asked);
  });

  it.each([
    ['de', ['ja', 'Alles klar.', 'Mhm.', 'genau, verstehe'], ['Halt!', 'Nein', 'Moment mal', 'ja aber was ist mit Montag']],
    ['es', ['Sí, sí.', 'vale', 'de acuerdo', 'ya veo'], ['Espere', '¡Para!', 'No', 'sí pero qué pasa mañana']],
    ['fr', ['Oui.', 'd’accord', 'très bien', 'je vois'], ['Attendez', 'Non', 'Stop !', 'oui mais qu’en est-il de lundi']],
  ] as const)('%s: over the agent some go on and some want the floor', (language, goOn, floor) => {
    const lexicon = known(language);
    for (const text of goOn) expect([text, isAcknowledgement(text, lexicon), asksForFloor(text, lexicon)]).toEqual([text, true, false]);
    for (const text of floor) expect([text, isAcknowledgement(text, lexicon), asksForFloor(text, lexicon)]).toEqual([text, false, true]);
  });

  it.each(['en', 'de', 'es', 'fr'])(
    '%s: no word both goes on and stops, ends a sentence and leaves it open; all are lower case',
    (language) => {
      const { acknowledgements, interrupting, openTails, closings, digits, pairs, hesitations } = known(language);
      expect([...interrupting].filter((word) => acknowledgements.has(word))).toEqual([]);
      expect(closings.filter((phrase) => openTails.has(phrase.split(' ').at(-1) ?? ''))).toEqual([]);
      expect([...digits].filter((word) => pairs.has(word))).toEqual([]);
      for (const set of [acknowledgements, interrupting, openTails, digits, pairs, hesitations])
        for (const word of set) expect(word).toMatch(/^[\p{Ll}][\p{Ll}'-]*$/u);
    },
  );

  it('are found by tag, whatever its region; without one they are English, and of others none are known', () => {
    expect([lexiconOf('de-AT'), lexiconOf('DE_at')]).toEqual([known('de'), known('de')]);
    expect(lexiconOf(undefined)).toBe(known('en'));
    for (const language of ['ja', '', 'x', 'english']) expect(lexiconOf(language)).toBeNull();
  });
});

describe('a session in a language', () => {
  const config = (language: string): SessionConfig => ({
    model: { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: { language } },
    turns: { endOfTurn: { type: 'pause_adaptive', z: 1 }, takesBack: true, respond: true, interrupt: true },
  });

  function committedAfter(language: string, words: string): number {
    const bench = new ConversationBench();
    bench.session.configure(config(language));
    bench.answered().voice(1000);
    bench.model.emit({ type: 'caller_words', words });
    bench.silence(2500);
    return Number(bench.model.told.find(([, what]) => what === 'commitTurn')?.[0]) - 1000;
  }

  it('waits by its words, and by rhythm alone where nobody knows them', () => {
    expect(committedAfter('de', 'Ich hätte gern eine')).toBe(940);
    expect(committedAfter('en', 'Ich hätte gern eine')).toBe(460);
    for (const words of ['および', 'and', 'thank you', 'Hai.']) expect(committedAfter('ja', words)).toBe(500);
  });

  it('judges no hold by words that nobody knows, and by its own where somebody does', () => {
    const over = (language: string, words: string): number => {
      const bench = new ConversationBench();
      bench.session.configure(config(language));
      bench.answered();
      bench.model.say('hello', 6000);
      bench.silence(1000).voice(300);
      bench.model.emit({ type: 'caller_words', words });
      return bench.silence(100).session.snapshot().bargeIns;
    };
    expect([over('fr', 'Attendez'), over('en', 'Attendez'), over('ja', 'stop')]).toEqual([1, 0, 0]);
  });

  it('keeps what was said for a judge from outside', () => {
    const wait = new EndOfTurnWait();
    wait.setWords('そうですね', undefined, null);
    expect(wait.words).toBe('そうですね');
    expect(wait.waitMs({ type: 'pause_adaptive', z: 1 })).toBeCloseTo(495, 0);
  });
});
