"""The kinds of fault, the forms they take and what each does to what the meters measure."""

from gridpulse_generator.faults.effects import CLASSIC_EFFECTS, EFFECTS, Stage, effect_of
from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.forms import FORMS, Form, forms_of
from gridpulse_generator.faults.kinds import CLASSIC, TRAITS, FaultKind, Trait
from gridpulse_generator.faults.values import Moment, Values

__all__ = [
    "CLASSIC",
    "CLASSIC_EFFECTS",
    "EFFECTS",
    "FORMS",
    "TRAITS",
    "Fault",
    "FaultKind",
    "Form",
    "Moment",
    "Stage",
    "Trait",
    "Values",
    "effect_of",
    "forms_of",
]
