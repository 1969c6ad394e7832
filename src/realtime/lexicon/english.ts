import { type Lexicon, phrases, words } from './lexicon.ts';

export const ENGLISH: Lexicon = {
  hesitations: words('um uh er erm hmm well so like uhm'),
  // Conjunctions, prepositions, articles, auxiliaries, subjects, question words.
  openTails: words(
    'and or but because if when while although that than as with without for from to of in on at by into about under over between through ' +
      'a an the my your his her our their this these those some any every is are was were be am do does did have has had will would can could ' +
      "should may might must i we he she they i'm i'd i'll we're it's there's who what which where how why whose not very really just also",
  ),
  dictated: words('dot dash at double triple slash underscore hyphen hash star plus'),
  digits: words('zero oh one two three four five six seven eight nine ten'),
  pairs: new Set(),
  holds: phrases(
    'let me see, let me think, let me check, let me look, let me find, hold on, hang on, one moment, one second, one sec, just a moment, just a second, ' +
      'just a sec, give me a, wait a, bear with',
  ),
  preambles: phrases(
    'good question, how do i say, how do i say it, how do i say this, how do i put it, how do i put this, how should i say, how should i put it, ' +
      "how should i put this, how can i put it, how can i say this, the thing is, it is like this, it's like this",
  ),
  closings: phrases("please, thanks, thank you, bye, goodbye, that's all, that's it, that is all"),
  questions: phrases('who,what,which,when,where,why,how,is,are,was,were,do,does,did,can,could,would,will,should,may,have,has'),
  acknowledgements: words(
    "yeah yes yep yup ok okay right sure uh-huh mhm mm-hm mmhm mm hmm hm uh huh aha ah oh i see got it cool fine good great alright all that's",
  ),
  interrupting: words('stop wait no actually hold hang pause cancel repeat sorry human agent operator help'),
  asks: {
    or: phrases('or'),
    yesNo: phrases('is,are,was,were,do,does,did,can,could,will,would,shall,should,may,have,has,right'),
    before: words('and so okay ok'),
    tags: phrases('correct,right,is that okay'),
    number: words('number digit digits code pin date zip'),
    give: words('what which your tell give enter say read'),
    card: words('card'),
    phone: words('phone telephone mobile callback'),
    phoneDigits: 10,
    date: words('date'),
  },
};
