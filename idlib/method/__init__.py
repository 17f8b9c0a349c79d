"""What is intra-distillation? The losses, their schedule, and the objective of K passes."""
