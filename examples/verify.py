"""Is an image understood? Looking until that can be said, and no longer."""

from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine, StoppingPolicy
from helicopter.io import sample_image

image = sample_image()
for cost in (0.02, 0.001):
    policy = StoppingPolicy(required_share=0.8, cost_of_look=cost, cost_of_false_accept=3)
    engine = AutonomousReconstructionEngine(
        patch_size=16, algorithm="harmonic", stop=policy, threshold=0.8
    )
    found = engine.autonomous_analyze(image)
    verdict = found.verification
    print(f"a look costs {cost}: {verdict.decision} after {verdict.evidence_used} looks")
    print(f"  probability {verdict.understanding_probability:.3f}, {verdict.state}")

# how often such a policy errs is known before the first look
for share in (0.7, 0.75, 0.85, 0.9):
    does = policy.operating_characteristics(share)
    wrong = does.false_accept + does.false_reject
    print(f"true share {share}: wrong {wrong:.1%}, {does.mean_looks:.0f} looks on average")

# the same evidence, looked at with other eyes: which quality do four patches in five reach?
engine = AutonomousReconstructionEngine(patch_size=16, algorithm="harmonic", strategy="random")
scored = engine.autonomous_analyze(image, target_quality=1)
for threshold in (0.7, 0.8, 0.9, 0.95):
    verdict = HatataMDPEngine().verify(scored, threshold=threshold)
    print(f"quality {threshold}: {verdict.decision} ({verdict.understanding_probability:.3f})")
