import { type Lexicon, phrases, words } from './lexicon.ts';

export const GERMAN: Lexicon = {
  hesitations: words('äh ähm öh ehm hm hmm also tja naja'),
  // Verbs and their prefixes (an, auf, mit …) end sentences here, and so do "das" and "die".
  openTails: words(
    'und oder aber weil wenn dass denn sondern obwohl sowie ohne für von vom zum zur im am ins beim gegen bis seit wegen zwischen ' +
      'ein eine einen einem einer eines den dem des mein meine meinen meinem meiner ihren ihrem unser unsere unseren sehr',
  ),
  dictated: words('punkt strich bindestrich minus schrägstrich unterstrich klammeraffe at raute stern plus doppel'),
  digits: words('null eins zwei zwo drei vier fünf sechs sieben acht neun'),
  pairs: words(
    'zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig',
  ),
  holds: phrases(
    'moment bitte, einen moment, moment mal, kleinen moment, augenblick, sekunde, lassen sie mich, lass mich, warten sie, warte mal, ich schaue, ich schau, ich suche, mal sehen',
  ),
  preambles: phrases('gute frage, wie soll ich sagen, wie sage ich das, die sache ist, es ist so, folgendes'),
  closings: phrases("bitte, danke, danke schön, vielen dank, tschüss, wiederhören, das war's, das wars, das ist alles, das wäre alles"),
  questions: phrases(
    'wer,wem,wen,was,welche,welcher,welches,wann,wo,woher,wohin,warum,wieso,weshalb,wie,ist,sind,war,kann,können,könnte,könnten,haben,hat,gibt,darf,muss,soll,wird,werden',
  ),
  acknowledgements: words(
    'ja jaja genau okay ok gut alles klar aha achso ach so hm hmm mhm mh verstehe stimmt richtig super prima in ordnung schön',
  ),
  interrupting: words(
    'stop stopp halt warte warten moment nein eigentlich entschuldigung wiederholen nochmal mensch mitarbeiter berater abbrechen hilfe',
  ),
  asks: {
    or: phrases('oder'),
    yesNo: phrases(
      'ist,sind,war,waren,hat,haben,hatten,kann,können,könnten,wollen,möchten,darf,dürfen,soll,sollen,wird,werden,würden,stimmt,passt,brauchen',
    ),
    before: words('und also okay ok gut'),
    tags: phrases('richtig,stimmt das,ist das so richtig,korrekt,in ordnung'),
    number: words(
      'nummer telefonnummer kundennummer kontonummer kartennummer bestellnummer rufnummer handynummer ziffern code pin datum geburtsdatum postleitzahl',
    ),
    give: words('was wie welche ihre ihr deine dein nennen sagen geben eingeben lauten lautet'),
    card: words('karte kartennummer kreditkarte kreditkartennummer'),
    phone: words('telefonnummer handynummer rufnummer mobilnummer rückrufnummer'),
    phoneDigits: undefined,
    date: words('datum geburtsdatum'),
  },
};
