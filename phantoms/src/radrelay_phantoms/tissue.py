"""CT numbers of the head, in Hounsfield units (HU), and where they come from.

Values are means of a tissue before noise, blur and the scanner's own calibration, at about 120 kVp.

Sources
-------
- Grey and white matter: Cala et al., AJNR 1981;2:41-47 (white 30 +/- 3.5, deep grey 33 +/- 3 HU in 93 volunteers);
  Brooks et al., J Comput Assist Tomogr 1980;4:489-491 (contrast 5.5 HU, from their chemistry); Nakamura et al.,
  Adv Comput Tomogr 2019;8:23-34 (contrast 7 HU and noise 4 HU on a 120 kVp scanner). Scanners differ by up to 23%.
- Blood: New and Aronow, Radiology 1976;121:635-640 (attenuation rises with haematocrit, and with clot retraction);
  acute clot is 50 to 80 HU. Acute subdural blood is hyperdense in 98.6%: Lee et al., J Korean Med Sci 1997;12:353-359.
  Blood that still bleeds is uneven: Barras et al., AJNR 2013;34:1139-1144; Zimmerman and Bilaniuk, Radiology
  1982;144:809-812 (epidural).
- Oedema around a haematoma, darkest next to it: Urday et al., Stroke 2015;46:1116-1119.
- Calcification is usually above 100 HU, less where it fills only a part of the voxel. Frequencies in adults: pineal
  71%, choroid plexus 66%, falx and tentorium 7%, basal ganglia 0.8%: Daghighi et al., Folia Morphol 2007;66:115-119.
- Bone: cortical tables 700 to 1900 HU; the whole vault averages up to 1323 HU with its diploe (post-mortem CT of
  604 people). The diploe follows the total thickness: Lynnerup et al., Head Face Med 2005;1:13.
"""

AIR_HU = -1000.0
HEADREST_HU = -120.0

SKIN_HU = 35.0
SUBCUTANEOUS_FAT_HU = -85.0
MUSCLE_HU = 55.0
SCALP_SWELLING_HU = 58.0

CORTICAL_BONE_HU = 1350.0
DIPLOE_HU = 520.0

CSF_HU = 7.0
GREY_MATTER_HU = 37.5
DEEP_GREY_MATTER_HU = 36.0
WHITE_MATTER_HU = 29.0
CHRONIC_ISCHAEMIA_HU = 18.0

DURA_HU = 52.0
VENOUS_BLOOD_HU = 56.0

ACUTE_BLOOD_EASY_HU = 74.0
ACUTE_BLOOD_HARD_HU = 52.0
OEDEMA_DROP_HU = 10.0

CALCIFICATION_HU = 190.0

CT_NOISE_SD_HU = 3.1
