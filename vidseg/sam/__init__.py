"""SAM 2.1: from prompts on a keyframe to masks through the clip."""
