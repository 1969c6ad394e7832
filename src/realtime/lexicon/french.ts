import { type Lexicon, phrases, words } from './lexicon.ts';

export const FRENCH: Lexicon = {
  hesitations: words('euh heu hum hmm ben bah alors'),
  // Without "si", "donc", "plus", "nous", which end sentences.
  openTails: words(
    'et ou mais parce que car quand comme avec sans pour de du des à au aux en dans sur sous chez par entre vers le la les un une ' +
      'mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs ce cet cette ces je qui dont très',
  ),
  dictated: words('point tiret arobase slash dièse étoile double triple'),
  digits: words('zéro un deux trois quatre cinq six sept huit neuf'),
  pairs: words(
    'dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt quatre-vingt-dix',
  ),
  holds: phrases(
    'un instant, un moment, une seconde, une minute, attendez, attends, laissez-moi, laisse-moi, je regarde, je cherche, voyons, je vérifie',
  ),
  preambles: phrases("bonne question, comment dire, comment vous dire, le truc c'est, c'est que"),
  closings: phrases("s'il vous plaît, s'il te plaît, merci, merci beaucoup, au revoir, c'est tout, ce sera tout"),
  questions: phrases(
    "qui,que,quoi,quel,quelle,quels,quelles,quand,où,pourquoi,comment,combien,est-ce que,est-ce,qu'est-ce que,pouvez-vous,puis-je,avez-vous,y a-t-il",
  ),
  acknowledgements: words(
    "oui ouais ok okay d'accord bien très parfait hum mhm mm hmm ah oh entendu je vois compris exact exactement voilà bon c'est ça",
  ),
  interrupting: words(
    'stop arrête arrêtez attends attendez non pardon excusez répétez répéter humain conseiller conseillère agent opérateur aide annuler moment',
  ),
  asks: {
    or: phrases('ou'),
    yesNo: phrases("est-ce que,est-ce,êtes-vous,avez-vous,voulez-vous,souhaitez-vous,pouvez-vous,puis-je,c'est,c'est bien,vous,y a-t-il"),
    before: words('et alors donc bon ok okay'),
    tags: phrases("n'est-ce pas,correct,exact,d'accord,c'est ça,c'est bien ça,c'est bon"),
    number: words('numéro chiffres code date'),
    give: words('quel quelle votre ton donnez donner donnez-moi indiquez entrez dites dites-moi'),
    card: words('carte'),
    phone: words('téléphone portable mobile'),
    phoneDigits: 10,
    date: words('date'),
  },
};
